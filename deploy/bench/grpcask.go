package bench

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// A question is one gRPC call, serialised beforehand.
type question struct {
	method  string
	request []byte
	// begins is what a right answer begins with; nil: it must not be empty.
	begins []byte
}

// passThrough hands messages on as the bytes that they are: neither the
// generator nor the bare server spends time on encoding them.
type passThrough struct{}

// Name is that of the usual codec, since the bytes are the same.
func (passThrough) Name() string { return "proto" }

// Marshal takes a []byte.
func (passThrough) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// Unmarshal fills an *answer or a *[]byte.
func (passThrough) Unmarshal(data mem.BufferSlice, v any) error {
	if into, ok := v.(*answer); ok {
		into.size = data.Len()
		into.head = into.head[:0]
		if len(data) > 0 {
			first := data[0].ReadOnlyData()
			into.head = append(into.head, first[:min(len(first), headBytes)]...)
		}
		return nil
	}
	*v.(*[]byte) = data.Materialize()
	return nil
}

// headBytes is how much of an answer is looked at: more than a name has.
const headBytes = 256

// An answer is what the generator keeps of one.
type answer struct {
	size int
	head []byte
}

// askGRPC makes clients that share a connection, as those of one gateway do, and
// ask what next returns for each number.
func askGRPC(conn *grpc.ClientConn, next func(number int) question) func(context.Context) (func(int) error, func(), error) {
	return func(ctx context.Context) (func(int) error, func(), error) {
		var got answer
		asRawBytes := []grpc.CallOption{grpc.ForceCodecV2(passThrough{})}
		return func(number int) error {
			q := next(number)
			if err := conn.Invoke(ctx, q.method, q.request, &got, asRawBytes...); err != nil {
				return err
			}
			if got.size == 0 || !bytes.HasPrefix(got.head, q.begins) {
				return fmt.Errorf("%s gave another answer than was expected, of %d bytes", q.method, got.size)
			}
			return nil
		}, nil, nil
	}
}

// inTurn asks a fixed set of questions over and over.
func inTurn[Q any](questions []Q) func(number int) Q {
	return func(number int) Q { return questions[number%len(questions)] }
}

// fetch asks a question once and returns the whole answer.
func fetch(ctx context.Context, conn *grpc.ClientConn, q question) ([]byte, error) {
	var all []byte
	err := conn.Invoke(ctx, q.method, q.request, &all, grpc.ForceCodecV2(passThrough{}))
	return all, err
}
