package grpcserver

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec of all messages
	"google.golang.org/grpc/mem"
)

// Received takes a message whose bytes may be none. A handler that receives into a *Received learns from Err that they could not
// be decoded, and decides what the caller is told; received into a message directly, gRPC answers INTERNAL before any
// interceptor could.
type Received struct {
	Message any   // what the bytes are decoded into
	Err     error // why they could not be
}

// codec is gRPC's own, which also knows [Received].
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	received, ok := v.(*Received)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	received.Err = c.CodecV2.Unmarshal(data, received.Message)
	return nil
}
