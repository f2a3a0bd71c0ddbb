package edge

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"cidsistem.example/proto/gen/registryv1"
)

// healthWithin is how long the registry may take to say that it is well.
const healthWithin = 2 * time.Second

// Health asks the registry whether it serves. The error says what is wrong.
func Health(ctx context.Context, conn grpc.ClientConnInterface) error {
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return fmt.Errorf("ask the registry for its health: %w", err)
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("the registry is %v", answer.GetStatus())
	}
	return nil
}

// Status answers, as the Italian interoperability guidelines want it, with a problem document of status 200 when the service can
// serve, else 503.
func Status(health func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := health(r.Context()); err != nil {
			p := newProblem(registryv1.ErrorReason_NOT_READY.String(), "the registry behind this address does not serve; try again in a moment")
			p.cause = err
			writeProblem(w, r, p)
			return
		}
		writeProblem(w, r, &problem{Type: "about:blank", Title: "Servizio attivo", Status: http.StatusOK, Detail: "the service can serve"})
	})
}
