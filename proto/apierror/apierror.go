// Package apierror makes and reads the errors of the contract: one reason of
// registryv1.ErrorReason each, with its gRPC code and HTTP status from one
// table. Servers answer with nothing else.
package apierror

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"cidsistem.example/proto/gen/registryv1"
)

// Domain is google.rpc.ErrorInfo.domain of every error.
const Domain = "registry.cidsistem.example"

// A Row of the table of reasons.
type Row struct {
	// Code is the gRPC code.
	Code codes.Code
	// HTTP is the status at the REST edge.
	HTTP int
	// Title says in Italian what went wrong, whatever the details.
	Title string
}

// Table has a row for every reason. ETAG_MISMATCH is 412 at the edge when the
// condition came in an If-Match header (RFC 9110, 13.1.1).
var Table = map[registryv1.ErrorReason]Row{
	registryv1.ErrorReason_INVALID_FIELDS:        {codes.InvalidArgument, http.StatusBadRequest, "Dati non validi"},
	registryv1.ErrorReason_INVALID_PAGE_TOKEN:    {codes.InvalidArgument, http.StatusBadRequest, "Pagina non valida"},
	registryv1.ErrorReason_RESOURCE_NOT_FOUND:    {codes.NotFound, http.StatusNotFound, "Scheda non trovata"},
	registryv1.ErrorReason_RESOURCE_EXISTS:       {codes.AlreadyExists, http.StatusConflict, "La scheda esiste già"},
	registryv1.ErrorReason_ETAG_MISMATCH:         {codes.Aborted, http.StatusConflict, "La scheda è cambiata nel frattempo"},
	registryv1.ErrorReason_REQUEST_ID_REUSED:     {codes.InvalidArgument, http.StatusUnprocessableEntity, "Identificativo di richiesta già usato"},
	registryv1.ErrorReason_NOT_THE_OWNER:         {codes.FailedPrecondition, http.StatusMisdirectedRequest, "Il comune è di un altro nodo"},
	registryv1.ErrorReason_OWNER_UNREACHABLE:     {codes.Unavailable, http.StatusServiceUnavailable, "Il nodo del comune non risponde"},
	registryv1.ErrorReason_RESOURCE_DELETED:      {codes.FailedPrecondition, http.StatusConflict, "La scheda è cancellata"},
	registryv1.ErrorReason_STILL_REFERRED_TO:     {codes.FailedPrecondition, http.StatusConflict, "Altre schede la usano"},
	registryv1.ErrorReason_DANGLING_REFERENCE:    {codes.InvalidArgument, http.StatusBadRequest, "Rimando a una scheda che non c'è"},
	registryv1.ErrorReason_NOT_SUPPORTED_HERE:    {codes.FailedPrecondition, http.StatusConflict, "Operazione non prevista su questo servizio"},
	registryv1.ErrorReason_TOO_LARGE:             {codes.ResourceExhausted, http.StatusRequestEntityTooLarge, "Richiesta troppo grande"},
	registryv1.ErrorReason_UNKNOWN_METHOD:        {codes.Unimplemented, http.StatusNotImplemented, "Operazione sconosciuta"},
	registryv1.ErrorReason_NOT_ALLOWED:           {codes.PermissionDenied, http.StatusForbidden, "Operazione non consentita"},
	registryv1.ErrorReason_DEADLINE:              {codes.DeadlineExceeded, http.StatusGatewayTimeout, "Tempo scaduto"},
	registryv1.ErrorReason_TOO_MANY_REQUESTS:     {codes.ResourceExhausted, http.StatusTooManyRequests, "Troppe richieste"},
	registryv1.ErrorReason_NOT_DELETED:           {codes.FailedPrecondition, http.StatusConflict, "La scheda non è cancellata"},
	registryv1.ErrorReason_FEED_EPOCH_CHANGED:    {codes.FailedPrecondition, http.StatusConflict, "Archivio ripristinato"},
	registryv1.ErrorReason_FEED_POSITION_TRIMMED: {codes.OutOfRange, http.StatusConflict, "Posizione troppo vecchia"},
	registryv1.ErrorReason_FEED_POSITION_AHEAD:   {codes.OutOfRange, http.StatusConflict, "Posizione oltre la fine"},
	registryv1.ErrorReason_FEED_DIVERGED:         {codes.DataLoss, http.StatusConflict, "Storie diverse"},
	registryv1.ErrorReason_FEED_READER_TOO_SLOW:  {codes.ResourceExhausted, http.StatusConflict, "Lettore troppo lento"},
	registryv1.ErrorReason_STORE_FENCED:          {codes.Unavailable, http.StatusServiceUnavailable, "Archivio fermo"},
	registryv1.ErrorReason_STORE_FULL:            {codes.ResourceExhausted, http.StatusInsufficientStorage, "Archivio pieno"},
	registryv1.ErrorReason_INTERNAL_ERROR:        {codes.Internal, http.StatusInternalServerError, "Errore del servizio"},
	registryv1.ErrorReason_NOT_READY:             {codes.Unavailable, http.StatusServiceUnavailable, "Servizio non pronto"},
	registryv1.ErrorReason_NOT_SIGNED_IN:         {codes.Unauthenticated, http.StatusUnauthorized, "Accesso richiesto"},
	registryv1.ErrorReason_SIGN_IN_REFUSED:       {codes.Unauthenticated, http.StatusUnauthorized, "Credenziali non valide"},
}

// A Detail adds to an error.
type Detail func(*details)

type details struct {
	metadata map[string]string
	fields   []*errdetails.BadRequest_FieldViolation
	blockers []*errdetails.PreconditionFailure_Violation
	retry    time.Duration
}

// With adds metadata to the ErrorInfo.
func With(key, value string) Detail {
	return func(d *details) { d.metadata[key] = value }
}

// Field names a wrong field, as a path with JSON names, and says what is wrong.
func Field(path, problem string) Detail {
	return func(d *details) {
		d.fields = append(d.fields, &errdetails.BadRequest_FieldViolation{Field: path, Description: problem})
	}
}

// Blocker names a record that stands in the way.
func Blocker(name, problem string) Detail {
	return func(d *details) {
		d.blockers = append(d.blockers, &errdetails.PreconditionFailure_Violation{Type: "RECORD", Subject: name, Description: problem})
	}
}

// RetryAfter says when to try again.
func RetryAfter(wait time.Duration) Detail {
	return func(d *details) { d.retry = wait }
}

// New makes an error of a reason. The message is for the person or program that
// made the call: what was wrong, where, what to do.
func New(reason registryv1.ErrorReason, message string, with ...Detail) error {
	d := details{metadata: map[string]string{}}
	for _, add := range with {
		add(&d)
	}
	row, known := Table[reason]
	if !known {
		row = Table[registryv1.ErrorReason_INTERNAL_ERROR]
	}
	list := []protoadapt.MessageV1{protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: reason.String(), Domain: Domain, Metadata: d.metadata})}
	if len(d.fields) > 0 {
		list = append(list, protoadapt.MessageV1Of(&errdetails.BadRequest{FieldViolations: d.fields}))
	}
	if len(d.blockers) > 0 {
		list = append(list, protoadapt.MessageV1Of(&errdetails.PreconditionFailure{Violations: d.blockers}))
	}
	if d.retry > 0 {
		list = append(list, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(d.retry)}))
	}
	st, err := status.New(row.Code, message).WithDetails(list...)
	if err != nil {
		return status.Error(row.Code, message)
	}
	return st.Err()
}

// Invalid makes the error for one wrong field.
func Invalid(path, problem string) error {
	return New(registryv1.ErrorReason_INVALID_FIELDS, path+": "+problem, Field(path, problem))
}

// NotFound makes the error for a record that does not exist.
func NotFound(name string) error {
	return New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, fmt.Sprintf("%q does not exist", name), With("name", name))
}

// Reason tells the reason of an error, also through wrapping and over the wire;
// ERROR_REASON_UNSPECIFIED when it has none.
func Reason(err error) registryv1.ErrorReason {
	info := Info(err)
	if info.GetDomain() != Domain {
		return registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	}
	return registryv1.ErrorReason(registryv1.ErrorReason_value[info.GetReason()])
}

// Info returns the ErrorInfo of an error, nil when it has none.
func Info(err error) *errdetails.ErrorInfo {
	return detail[*errdetails.ErrorInfo](err)
}

// Fields returns the wrong fields that an error names.
func Fields(err error) []*errdetails.BadRequest_FieldViolation {
	return detail[*errdetails.BadRequest](err).GetFieldViolations()
}

// Retry tells after how long an error asks to try again; 0: it does not say.
func Retry(err error) time.Duration {
	return detail[*errdetails.RetryInfo](err).GetRetryDelay().AsDuration()
}

// HTTPStatus tells the status of an error at the REST edge: by its reason where
// it has one, else by its gRPC code.
func HTTPStatus(err error) int {
	if row, known := Table[Reason(err)]; known {
		return row.HTTP
	}
	switch status.Code(unwrap(err)) {
	case codes.OK:
		return http.StatusOK
	case codes.InvalidArgument, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted, codes.FailedPrecondition:
		return http.StatusConflict
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case codes.Canceled:
		return 499
	default:
		return http.StatusInternalServerError
	}
}

// detail finds a detail of one type.
func detail[T any](err error) T {
	var none T
	st, ok := status.FromError(unwrap(err))
	if err == nil || !ok {
		return none
	}
	for _, d := range st.Details() {
		if found, ok := d.(T); ok {
			return found
		}
	}
	return none
}

// unwrap finds the error that carries the status, so that wrapped messages do
// not hide it.
func unwrap(err error) error {
	var carrier interface{ GRPCStatus() *status.Status }
	if errors.As(err, &carrier) {
		return carrier.GRPCStatus().Err()
	}
	return err
}

// Blockers returns the records that an error names as standing in the way.
func Blockers(err error) []*errdetails.PreconditionFailure_Violation {
	return detail[*errdetails.PreconditionFailure](err).GetViolations()
}
