package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// restTransport speaks REST to a gateway, and checks what every answer of it
// must be.
type restTransport struct {
	address string // HOST:PORT
	// inHeaders sends conditions as If-Match and request ids as Idempotency-Key.
	inHeaders bool
	// people sign in; nil: everything is asked by nobody in particular.
	people people
}

func (t restTransport) expect(m method, want expectation) expectation {
	if want.http == 0 {
		row := apierror.Table[registryv1.ErrorReason(registryv1.ErrorReason_value[want.reason])]
		if want.http = row.HTTP; want.reason == registryv1.ErrorReason_ETAG_MISMATCH.String() && t.inHeaders {
			want.http = http.StatusPreconditionFailed
		}
	}
	want.code = ""
	// Fields are named as in the JSON that was sent: without the body's own name.
	var named []string
	for _, field := range want.fields {
		named = append(named, strings.TrimPrefix(strings.TrimPrefix(field, bodyOf(m)+"."), "header."))
	}
	want.fields = named
	return want
}

func bodyOf(m method) string {
	if rules := m.rules(); len(rules) > 0 {
		return rules[0].GetBody()
	}
	return ""
}

func (t restTransport) call(ctx context.Context, m method, request proto.Message, content []byte) (answer, error) {
	if m.descriptor.IsStreamingClient() {
		return t.upload(ctx, request.(*registryv1.UploadFileRequest), content)
	}
	rules := m.rules()
	if len(rules) == 0 {
		return answer{}, fmt.Errorf("%s is not on REST", m.full())
	}
	var got answer
	// What can be asked for in several ways is asked for in all of them.
	for _, rule := range rules {
		var err error
		if got, err = t.callBy(ctx, m, rule, request); err != nil || got.failure != nil {
			return got, err
		}
	}
	return got, nil
}

func (t restTransport) callBy(ctx context.Context, m method, rule *annotations.HttpRule, request proto.Message) (answer, error) {
	header, err := t.header(ctx, m, request)
	if err != nil {
		return answer{}, err
	}
	if t.inHeaders {
		request = moveToHeaders(request, header)
	}
	r, err := transcode(rule, request)
	if err != nil {
		return answer{}, err
	}
	r.header = header
	if r.body != nil {
		header.Set("Content-Type", "application/json")
	}
	if m.descriptor.IsStreamingServer() {
		return t.stream(ctx, m, r)
	}
	response, body, err := t.do(ctx, r)
	if err != nil {
		return answer{}, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return problemAnswer(response, body)
	}
	return unaryAnswer(m, r, response, body)
}

// header begins the header of a request.
func (t restTransport) header(ctx context.Context, m method, request proto.Message) (http.Header, error) {
	header := http.Header{}
	token, err := authorization(ctx, t.people, m, request)
	if token != "" {
		header.Set("Authorization", token)
	}
	return header, err
}

// moveToHeaders takes the condition and the request id of a change out of the
// request.
func moveToHeaders(request proto.Message, header http.Header) proto.Message {
	request = proto.Clone(request)
	take := func(m protoreflect.Message, field protoreflect.Name, name string) {
		if fd := m.Descriptor().Fields().ByName(field); fd != nil && m.Has(fd) {
			header.Set(name, m.Get(fd).String())
			m.Clear(fd)
		}
	}
	m := request.ProtoReflect()
	take(m, "etag", "If-Match")
	take(m, "request_id", "Idempotency-Key")
	if m.Descriptor().Fields().ByName("update_mask") == nil {
		return request
	}
	m.Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if fd.Message() != nil && !fd.IsList() && catalog.Of(value.Message().Interface()) != nil {
			take(value.Message(), "etag", "If-Match")
		}
		return true
	})
	return request
}

// do sends a request and reads the whole answer.
func (t restTransport) do(ctx context.Context, r httpRequest) (*http.Response, []byte, error) {
	response, err := t.send(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	return response, body, errors.Join(err, response.Body.Close())
}

func (t restTransport) send(ctx context.Context, r httpRequest) (*http.Response, error) {
	var body io.Reader = http.NoBody
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	request, err := http.NewRequestWithContext(ctx, r.verb, "http://"+t.address+r.target, body)
	if err != nil {
		return nil, err
	}
	request.Header = r.header
	return http.DefaultClient.Do(request)
}

// unaryAnswer reads a success, and checks what goes with it.
func unaryAnswer(m method, r httpRequest, response *http.Response, body []byte) (answer, error) {
	message := m.output.New().Interface()
	if err := protojson.Unmarshal(body, message); err != nil {
		return answer{}, fmt.Errorf("%s %s: the answer is not a %s: %w\n%s", r.verb, r.target, m.output.Descriptor().Name(), err, body)
	}
	document, err := decodeJSON(body)
	if err != nil {
		return answer{}, err
	}
	got := answer{body: document, meta: lowerCase(response.Header)}
	var problems []error
	expect := func(what string, have, want any) {
		if have != want {
			problems = append(problems, fmt.Errorf("%s %s: %s is %v, want %v", r.verb, r.target, what, have, want))
		}
	}
	expect("Content-Type", got.meta["content-type"], "application/json")
	validateOnly := strings.Contains(r.target, "validateOnly=true")
	if creates := strings.HasPrefix(string(m.descriptor.Name()), "Create"); creates && !validateOnly {
		expect("status", response.StatusCode, http.StatusCreated)
		expect("Location", got.meta["location"], "/v1/"+catalog.RecordOf(message).Name())
	} else {
		expect("status", response.StatusCode, http.StatusOK)
	}
	if catalog.Of(message) != nil {
		expect("ETag", got.meta["etag"], catalog.RecordOf(message).Etag())
	}
	return got, errors.Join(problems...)
}

func lowerCase(header http.Header) map[string]string {
	meta := map[string]string{}
	for name, values := range header {
		meta[strings.ToLower(name)] = values[0]
	}
	return meta
}

// A problem document of RFC 9457, with the members of the project.
type problem struct {
	Type, Title, Detail, Instance, Reason string
	Status                                int
	Errors                                []struct{ Field, Message string }
	Blockers                              []struct{ Name, Message string }
}

// problemOf reads a problem document, and checks that it is a whole one.
func problemOf(response *http.Response, body []byte) (problem, error) {
	var p problem
	if kind := response.Header.Get("Content-Type"); kind != "application/problem+json" {
		return p, fmt.Errorf("status %d as %q, not as a problem: %.300s", response.StatusCode, kind, body)
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, fmt.Errorf("a problem that is no JSON: %w: %.300s", err, body)
	}
	switch {
	case p.Status != response.StatusCode:
		return p, fmt.Errorf("the problem says %d, the answer %d", p.Status, response.StatusCode)
	case p.Reason == "", p.Title == "", p.Detail == "", p.Instance == "":
		return p, fmt.Errorf("the problem lacks reason, title, detail or instance: %s", body)
	case p.Type != "/problems/"+strings.ToLower(strings.ReplaceAll(p.Reason, "_", "-")):
		return p, fmt.Errorf("the problem's type %q is not that of %s", p.Type, p.Reason)
	case response.Header.Get("Cache-Control") != "no-store":
		return p, errors.New("the problem may be stored")
	}
	return p, nil
}

func problemAnswer(response *http.Response, body []byte) (answer, error) {
	p, err := problemOf(response, body)
	if err != nil {
		return answer{}, err
	}
	f := &failure{http: p.Status, reason: p.Reason, retry: response.Header.Get("Retry-After") != "", message: p.Detail}
	for _, e := range p.Errors {
		f.fields = append(f.fields, e.Field)
	}
	for _, b := range p.Blockers {
		f.blockers = append(f.blockers, b.Name)
	}
	return answer{failure: f, meta: lowerCase(response.Header)}, nil
}

// stream reads the first line of a stream of messages, or a whole file.
func (t restTransport) stream(ctx context.Context, m method, r httpRequest) (answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	isFile := m.descriptor.Output().FullName() == "google.api.HttpBody"
	if !isFile {
		r.header.Set("Accept", "application/x-ndjson")
	}
	response, err := t.send(ctx, r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if isFile || response.StatusCode >= http.StatusBadRequest {
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode < http.StatusBadRequest {
			return answer{body: fileDocument(body), meta: lowerCase(response.Header)}, err
		}
		return problemAnswer(response, body)
	}
	line, err := bufio.NewReader(response.Body).ReadBytes('\n')
	if err != nil {
		return answer{}, err
	}
	document, err := decodeJSON(line)
	return answer{body: document, meta: lowerCase(response.Header)}, err
}

// upload sends a file as the contract's comment says: annotations cannot.
func (t restTransport) upload(ctx context.Context, request *registryv1.UploadFileRequest, content []byte) (answer, error) {
	target := "/v1/" + request.GetHeader().GetParent() + "/files"
	if sum := request.GetHeader().GetSha256(); sum != "" {
		target += "?sha256=" + url.QueryEscape(sum)
	}
	upload, err := methodOf("FileService.UploadFile")
	if err != nil {
		return answer{}, err
	}
	header, err := t.header(ctx, upload, request)
	if err != nil {
		return answer{}, err
	}
	header.Set("Content-Type", "application/octet-stream")
	r := httpRequest{verb: http.MethodPost, target: target, body: content, header: header}
	response, body, err := t.do(ctx, r)
	if err != nil {
		return answer{}, err
	}
	if response.StatusCode != http.StatusCreated {
		return problemAnswer(response, body)
	}
	document, err := decodeJSON(body)
	return answer{body: document, meta: lowerCase(response.Header)}, err
}
