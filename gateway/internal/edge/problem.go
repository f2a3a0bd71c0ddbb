package edge

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// problemType is the media type of RFC 9457.
const problemType = "application/problem+json"

// retryLater is what Retry-After says when a server that is away does not say it itself.
const retryLater = 5 * time.Second

// A problem is an error as HTTP clients see it: a document of RFC 9457, and headers that go with it.
type problem struct {
	Type     string            `json:"type"`
	Title    string            `json:"title"`
	Status   int               `json:"status"`
	Detail   string            `json:"detail,omitempty"`
	Instance string            `json:"instance,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Errors   []fieldError      `json:"errors,omitempty"`
	Blockers []blocker         `json:"blockers,omitempty"`
	TraceID  string            `json:"traceId,omitempty"`

	header http.Header
	cause  error // for the log
}

// A fieldError names a wrong field, by the path in JSON names, a query parameter or a header.
type fieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// A blocker names a record that stands in the way.
type blocker struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

// Error makes a problem usable as an error inside the edge.
func (p *problem) Error() string { return p.Reason + ": " + p.Detail }

// newProblem makes the problem of a reason.
func newProblem(reason string, detail string) *problem {
	known := reasons[reason]
	p := &problem{
		Type:   typeOf(reason),
		Title:  known.Title,
		Status: known.Status,
		Detail: detail,
		Reason: reason,
		header: http.Header{},
	}
	if p.Status == http.StatusServiceUnavailable {
		p.retryAfter(retryLater)
	}
	return p
}

// invalid makes the problem of wrong fields, parameters or headers.
func invalid(wrong ...fieldError) *problem {
	p := newProblem(registryv1.ErrorReason_INVALID_FIELDS.String(), sentenceOf(wrong))
	p.Errors = wrong
	return p
}

// sentenceOf says in one line what is wrong.
func sentenceOf(wrong []fieldError) string {
	said := make([]string, len(wrong))
	for i, w := range wrong {
		said[i] = w.Message
		if w.Field != "" {
			said[i] = w.Field + ": " + w.Message
		}
	}
	return strings.Join(said, "; ")
}

// tooLarge makes the problem of a body over its limit, in bytes.
func tooLarge(limit int64) *problem {
	p := newProblem(registryv1.ErrorReason_TOO_LARGE.String(), "the body is larger than "+strconv.FormatInt(limit, 10)+" bytes")
	p.Metadata = map[string]string{"limit_bytes": strconv.FormatInt(limit, 10)}
	return p
}

// retryAfter sets Retry-After, in whole seconds rounded up.
func (p *problem) retryAfter(wait time.Duration) {
	p.header.Set("Retry-After", strconv.FormatInt(max(1, int64(math.Ceil(wait.Seconds()))), 10))
}

// typeOf is the relative address of the page that explains a reason.
func typeOf(reason string) string {
	return "/problems/" + strings.ToLower(strings.ReplaceAll(reason, "_", "-"))
}

// problemOf makes a problem from any error. Field paths are those of the gRPC request; the route, nil outside routes, says how
// they look in HTTP.
func problemOf(err error, r *route) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	st := statusOf(err)
	info := apierror.Info(err)
	reason := reasonOf(st, info)
	p := newProblem(reason, detailOf(st, info))
	p.Status = statusCode(err, reason)
	p.cause = err
	p.Metadata = info.GetMetadata()
	for _, v := range apierror.Fields(err) {
		p.Errors = append(p.Errors, fieldError{Field: r.httpField(v.GetField()), Message: v.GetDescription()})
	}
	if p.Errors != nil && reason == registryv1.ErrorReason_INVALID_FIELDS.String() {
		p.Detail = sentenceOf(p.Errors) // the server's own words have its names of the fields
	}
	for _, d := range st.Details() {
		if failure, ok := d.(*errdetails.PreconditionFailure); ok {
			for _, v := range failure.GetViolations() {
				p.Blockers = append(p.Blockers, blocker{Name: v.GetSubject(), Message: v.GetDescription()})
			}
		}
	}
	switch wait := apierror.Retry(err); {
	case wait > 0:
		p.retryAfter(wait)
	case p.Status == http.StatusServiceUnavailable:
		p.retryAfter(retryLater)
	case p.Status == http.StatusTooManyRequests:
		p.retryAfter(time.Second)
	}
	return p
}

// statusOf reads the gRPC status of an error; the end of a context has one too.
func statusOf(err error) *status.Status {
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.FromContextError(err)
}

// reasonOf reads the reason of a status, or finds the one that its code means.
func reasonOf(st *status.Status, info *errdetails.ErrorInfo) string {
	if info.GetDomain() == apierror.Domain && info.GetReason() != "" {
		return info.GetReason()
	}
	reason := registryv1.ErrorReason_INTERNAL_ERROR
	switch st.Code() {
	case codes.InvalidArgument, codes.OutOfRange:
		reason = registryv1.ErrorReason_INVALID_FIELDS
	case codes.NotFound:
		reason = registryv1.ErrorReason_RESOURCE_NOT_FOUND
	case codes.AlreadyExists:
		reason = registryv1.ErrorReason_RESOURCE_EXISTS
	case codes.Aborted:
		reason = registryv1.ErrorReason_ETAG_MISMATCH
	case codes.FailedPrecondition:
		reason = registryv1.ErrorReason_NOT_SUPPORTED_HERE
	case codes.PermissionDenied, codes.Unauthenticated:
		reason = registryv1.ErrorReason_NOT_ALLOWED
	case codes.ResourceExhausted:
		reason = registryv1.ErrorReason_TOO_MANY_REQUESTS
	case codes.Unimplemented:
		reason = registryv1.ErrorReason_UNKNOWN_METHOD
	case codes.Unavailable, codes.Canceled: // cancelled by the server: the client, if it has gone, gets no answer
		reason = registryv1.ErrorReason_NOT_READY
	case codes.DeadlineExceeded:
		reason = registryv1.ErrorReason_DEADLINE
	}
	return reason.String()
}

// statusCode is the HTTP status of an error: that of its reason, else that of its code.
func statusCode(err error, reason string) int {
	if known, ok := reasons[reason]; ok {
		return known.Status
	}
	return apierror.HTTPStatus(err)
}

// detailOf is what an error says to the reader. What did not come from a server of ours may tell of addresses and internals, so
// only the kinds of error that are about the request keep their words.
func detailOf(st *status.Status, info *errdetails.ErrorInfo) string {
	if info.GetDomain() == apierror.Domain {
		return st.Message()
	}
	switch st.Code() {
	case codes.Unavailable, codes.Canceled:
		return "the registry behind this address does not answer; try again in a moment"
	case codes.DeadlineExceeded:
		return "the answer was not ready in time; try again, or ask for less"
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return "a defect of the service; its log has the cause under the request id in instance"
	default:
		return strings.Join(strings.Fields(st.Message()), " ")
	}
}

// httpField turns the path of a field of the gRPC request into what an HTTP client sent: JSON names, without the field that is
// the body.
func (r *route) httpField(path string) string {
	if r == nil {
		return path
	}
	if r.answer == answerUpload {
		path = strings.TrimPrefix(path, "header.")
	}
	if rest, found := strings.CutPrefix(path, r.body+"."); found && r.body != "*" && r.body != "" {
		return jsonPath(r.newBody().ProtoReflect().Descriptor(), rest)
	}
	return jsonPath(r.input.Descriptor(), path)
}

// jsonPath turns the names of a field path into JSON names, as far as they are known; indices and keys in brackets stay.
func jsonPath(md protoreflect.MessageDescriptor, path string) string {
	segments := strings.Split(path, ".")
	for i, segment := range segments {
		if md == nil {
			break
		}
		name, index, indexed := strings.Cut(segment, "[")
		field := md.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			field = md.Fields().ByJSONName(name)
		}
		if field == nil {
			break
		}
		segments[i] = field.JSONName()
		if indexed {
			segments[i] += "[" + index
		}
		md = field.Message()
		if field.IsMap() {
			md = field.MapValue().Message()
		}
	}
	return strings.Join(segments, ".")
}

// writeProblem answers with a problem. It must be called before anything is written.
func writeProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	x := exchangeOf(r.Context())
	x.reason, x.cause = p.Reason, p.cause
	header := w.Header()
	for name, values := range p.header {
		header[name] = values
	}
	header.Set("Content-Type", problemType)
	if p.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	header.Set("Cache-Control", "no-store")
	header.Del("ETag")
	header.Del("Content-Length")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(p.document(x)) // the client may be gone
	}
}

// document is the problem as JSON, with what is known of the request.
func (p *problem) document(x *exchange) []byte {
	told := *p
	told.Instance = "urn:uuid:" + x.id
	told.TraceID = x.traceID
	text, err := json.Marshal(told)
	if err != nil {
		panic(err) // strings, numbers, and maps of strings
	}
	return text
}
