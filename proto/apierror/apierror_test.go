package apierror_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// overTheWire is an error as a caller receives it.
func overTheWire(err error) error { return status.FromProto(status.Convert(err).Proto()).Err() }

func TestErrorsArriveWhole(t *testing.T) {
	for number := range registryv1.ErrorReason_name {
		reason := registryv1.ErrorReason(number)
		if reason == registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			continue
		}
		err := apierror.New(reason, "what was wrong", apierror.With("name", "comuni/marsala"), apierror.With("comune", "marsala"),
			apierror.Field("service.title", "is missing"), apierror.Field("service.status", "is missing too"),
			apierror.Blocker("comuni/marsala/services/one", "refers to it"), apierror.RetryAfter(3*time.Second))
		for _, err := range []error{err, overTheWire(err), fmt.Errorf("while writing: %w", err), errors.Join(errors.New("another"), err)} {
			row := apierror.Table[reason]
			if got := apierror.Reason(err); got != reason {
				t.Errorf("%s arrives as %s", reason, got)
			}
			if info := apierror.Info(err); info.GetDomain() != apierror.Domain || info.GetMetadata()["name"] != "comuni/marsala" || info.GetMetadata()["comune"] != "marsala" {
				t.Errorf("%s arrives with %v", reason, info)
			}
			if fields := apierror.Fields(err); len(fields) != 2 || fields[1].GetField() != "service.status" || fields[1].GetDescription() != "is missing too" {
				t.Errorf("%s arrives with the fields %v", reason, fields)
			}
			if got := apierror.Retry(err); got != 3*time.Second {
				t.Errorf("%s asks to try again after %s", reason, got)
			}
			if got := apierror.HTTPStatus(err); got != row.HTTP {
				t.Errorf("%s is %d on the web, not %d", reason, got, row.HTTP)
			}
		}
		st := status.Convert(err)
		if st.Code() != apierror.Table[reason].Code || st.Message() != "what was wrong" || len(st.Details()) != 4 {
			t.Errorf("%s is %v with %d details", reason, st, len(st.Details()))
		}
	}
	// One detail of a kind, and none that says nothing.
	bare := status.Convert(apierror.New(registryv1.ErrorReason_DEADLINE, "late"))
	if len(bare.Details()) != 1 {
		t.Errorf("a bare error has the details %v", bare.Details())
	}
	if got := apierror.New(registryv1.ErrorReason(9999), "new"); status.Code(got) != codes.Internal {
		t.Errorf("a reason that is not in the table: %v", got)
	}
}

func TestConstructors(t *testing.T) {
	invalid := apierror.Invalid("service.title", "is missing")
	if apierror.Reason(invalid) != registryv1.ErrorReason_INVALID_FIELDS || apierror.Fields(invalid)[0].GetField() != "service.title" || status.Convert(invalid).Message() != "service.title: is missing" {
		t.Errorf("Invalid makes %v", invalid)
	}
	missing := apierror.NotFound("comuni/marsala/services/one")
	if apierror.Reason(missing) != registryv1.ErrorReason_RESOURCE_NOT_FOUND || apierror.Info(missing).GetMetadata()["name"] != "comuni/marsala/services/one" {
		t.Errorf("NotFound makes %v", missing)
	}
}

func TestOtherErrors(t *testing.T) {
	foreign, err := status.New(codes.NotFound, "elsewhere").WithDetails(&errdetails.ErrorInfo{Reason: "RESOURCE_NOT_FOUND", Domain: "another.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{nil, errors.New("plain"), context.Canceled, status.Error(codes.NotFound, "none"), foreign.Err()} {
		if got := apierror.Reason(err); got != registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			t.Errorf("%v has the reason %s", err, got)
		}
		if apierror.Retry(err) != 0 || apierror.Fields(err) != nil {
			t.Errorf("%v asks for something", err)
		}
	}
	for code, want := range map[codes.Code]int{
		codes.OK: 200, codes.Canceled: 499, codes.Unknown: 500, codes.InvalidArgument: 400, codes.DeadlineExceeded: 504, codes.NotFound: 404,
		codes.AlreadyExists: 409, codes.PermissionDenied: 403, codes.ResourceExhausted: 429, codes.FailedPrecondition: 409, codes.Aborted: 409,
		codes.OutOfRange: 400, codes.Unimplemented: 501, codes.Internal: 500, codes.Unavailable: 503, codes.DataLoss: 500, codes.Unauthenticated: 401,
	} {
		err := status.Error(code, "x")
		if got := apierror.HTTPStatus(err); got != want || got != http.StatusOK && apierror.HTTPStatus(fmt.Errorf("wrapped: %w", err)) != want {
			t.Errorf("%s is %d on the web, not %d", code, got, want)
		}
	}
}
