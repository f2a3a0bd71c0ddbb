package edge

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// maxAnswerBytes bounds one message of an answer: 1,000 records of the largest kind fit.
const maxAnswerBytes = 64 << 20

// An upstream is the connection to the registry as the generated handlers see it. It puts what came in headers into each
// request, and sends only metadata that the edge itself sets.
type upstream struct{ conn grpc.ClientConnInterface }

func (u upstream) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	if c := callOf(ctx); c != nil {
		if err := c.complete(request.(proto.Message)); err != nil {
			return err
		}
	}
	return u.conn.Invoke(outgoing(ctx), method, request, reply, append(options, grpc.MaxCallRecvMsgSize(maxAnswerBytes))...)
}

func (u upstream) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return u.conn.NewStream(outgoing(ctx), desc, method, append(options, grpc.MaxCallRecvMsgSize(maxAnswerBytes))...)
}

// printable is a text as metadata can carry it, at most 200 characters.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, fmt.Sprintf("%.200s", text))
}

// Outgoing is the context of a call upstream for the request that a context belongs to.
func Outgoing(ctx context.Context) context.Context { return outgoing(ctx) }

// Anonymous is the context of a call upstream for the same request that is made for nobody: its answer may be shown to others.
func Anonymous(ctx context.Context) context.Context {
	x := exchangeOf(ctx)
	return metadata.NewOutgoingContext(ctx, metadata.Pairs("x-request-id", x.id))
}

// outgoing replaces all metadata: nothing that a client sends becomes metadata by itself.
func outgoing(ctx context.Context) context.Context {
	x := exchangeOf(ctx)
	sent := metadata.Pairs("x-request-id", x.id)
	if x.traceparent != "" {
		sent.Set("traceparent", x.traceparent)
	}
	for key, value := range map[string]string{"authorization": x.authorization, "cid-purpose": printable(x.purpose), "cid-client": x.client} {
		if value != "" {
			sent.Set(key, value)
		}
	}
	return metadata.NewOutgoingContext(ctx, sent)
}
