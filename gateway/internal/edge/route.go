package edge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"cidsistem.example/proto/gen/registryv1"
)

// A route is one HTTP method and path of the contract, with the gRPC method behind it.
type route struct {
	httpMethod string
	pattern    string // the path as the contract writes it; the label in logs and metrics
	template   template
	answer     answerKind
	grpcMethod string // full name, for example "/cidsistem.registry.v1.FileService/GetFile"
	input      protoreflect.MessageType
	output     protoreflect.MessageType
	// body is the field of the request that is the HTTP body; "*": all that is not in the path; "": there is none.
	body string
	// creates is true for the standard method Create.
	creates bool
	// extra are query parameters that are for the edge and not in the request.
	extra []string
}

// answerKind says which part of the edge answers a route.
type answerKind int

const (
	answerUnary    answerKind = iota // one request, one answer, both JSON
	answerStream                     // a stream of messages
	answerDownload                   // the bytes of a file
	answerUpload                     // takes the bytes of a file
)

// routes are all routes, in the order of the list of services.
type routes []*route

// newRoutes reads the routes of the services from the HTTP annotations of the contract, and adds the upload of files, which
// annotations cannot express.
func newRoutes(services []service) (routes, error) {
	var all routes
	for _, s := range services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(s.name))
		if err != nil {
			return nil, fmt.Errorf("find the descriptor of %s: %w", s.name, err)
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			for _, rule := range httpRules(methods.Get(i)) {
				r, err := newRoute(methods.Get(i), rule)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", methods.Get(i).FullName(), err)
				}
				all = append(all, r)
			}
		}
	}
	upload, err := parseTemplate(uploadPattern)
	if err != nil {
		return nil, err
	}
	return append(all, &route{
		httpMethod: http.MethodPost,
		pattern:    uploadPattern,
		template:   upload,
		answer:     answerUpload,
		grpcMethod: registryv1.FileService_UploadFile_FullMethodName,
		input:      (&registryv1.UploadFileRequest_Header{}).ProtoReflect().Type(),
		output:     (&registryv1.File{}).ProtoReflect().Type(),
	}), nil
}

// httpRules lists the HTTP rules of a method, additional bindings too.
func httpRules(method protoreflect.MethodDescriptor) []*annotations.HttpRule {
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		return nil
	}
	return append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...)
}

func newRoute(method protoreflect.MethodDescriptor, rule *annotations.HttpRule) (*route, error) {
	r := &route{
		grpcMethod: fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name()),
		body:       rule.GetBody(),
	}
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.httpMethod, r.pattern = http.MethodGet, pattern.Get
	case *annotations.HttpRule_Post:
		r.httpMethod, r.pattern = http.MethodPost, pattern.Post
	case *annotations.HttpRule_Put:
		r.httpMethod, r.pattern = http.MethodPut, pattern.Put
	case *annotations.HttpRule_Patch:
		r.httpMethod, r.pattern = http.MethodPatch, pattern.Patch
	case *annotations.HttpRule_Delete:
		r.httpMethod, r.pattern = http.MethodDelete, pattern.Delete
	default:
		return nil, fmt.Errorf("the edge does not know the HTTP rule %v", rule)
	}
	var err error
	if r.template, err = parseTemplate(r.pattern); err != nil {
		return nil, err
	}
	if r.input, err = protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName()); err != nil {
		return nil, fmt.Errorf("the request is not linked: %w", err)
	}
	if r.output, err = protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName()); err != nil {
		return nil, fmt.Errorf("the answer is not linked: %w", err)
	}
	switch {
	case method.IsStreamingClient():
		return nil, fmt.Errorf("the edge cannot take a stream of messages")
	case method.IsStreamingServer() && method.Output().FullName() == (&httpbody.HttpBody{}).ProtoReflect().Descriptor().FullName():
		r.answer, r.extra = answerDownload, []string{"filename"}
	case method.IsStreamingServer():
		r.answer = answerStream
	}
	r.creates = strings.HasPrefix(string(method.Name()), "Create") && r.httpMethod == http.MethodPost && r.template.verb == ""
	return r, nil
}

// newBody makes the empty message that the HTTP body is read into, nil when the route takes none.
func (r *route) newBody() proto.Message {
	switch r.body {
	case "":
		return nil
	case "*":
		return r.input.New().Interface()
	}
	field := r.input.Descriptor().Fields().ByName(protoreflect.Name(r.body))
	return r.input.New().NewField(field).Message().Interface()
}

// find returns the route of a request and the values of its path variables. HEAD is answered by the route of GET, if that ends.
func (all routes) find(method string, path requestPath) (*route, map[string]string) {
	for _, r := range all {
		if r.httpMethod != method && (method != http.MethodHead || r.httpMethod != http.MethodGet || r.answer == answerStream) {
			continue
		}
		if values, ok := r.template.match(path); ok {
			return r, values
		}
	}
	return nil, nil
}

// allowed lists the methods that are there at a path, nil when there is nothing at all.
func (all routes) allowed(path requestPath) []string {
	var methods []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if r, _ := all.find(method, path); r != nil {
			methods = append(methods, method)
		}
	}
	if methods != nil {
		methods = append(methods, http.MethodOptions)
	}
	return slices.Clip(methods)
}
