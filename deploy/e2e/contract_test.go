package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	// The services that cases can call.
	_ "cidsistem.example/proto/gen/federationv1"
	_ "cidsistem.example/proto/gen/feedv1"
	_ "cidsistem.example/proto/gen/registryv1"
)

// A method of the contract.
type method struct {
	descriptor    protoreflect.MethodDescriptor
	input, output protoreflect.MessageType
}

// methodOf finds a method by the names of its service and its own, for example
// "ServiceService.CreateService".
func methodOf(call string) (method, error) {
	service, name, _ := strings.Cut(call, ".")
	for _, in := range []string{"cidsistem.registry.v1", "cidsistem.federation.v1", "cidsistem.feed.v1"} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(in + "." + service + "." + name))
		if err != nil {
			continue
		}
		m := method{descriptor: d.(protoreflect.MethodDescriptor)}
		if m.input, err = protoregistry.GlobalTypes.FindMessageByName(m.descriptor.Input().FullName()); err != nil {
			return method{}, err
		}
		m.output, err = protoregistry.GlobalTypes.FindMessageByName(m.descriptor.Output().FullName())
		return m, err
	}
	return method{}, fmt.Errorf("the contract has no method %s", call)
}

// full is the name of the method on the wire.
func (m method) full() string {
	return fmt.Sprintf("/%s/%s", m.descriptor.Parent().FullName(), m.descriptor.Name())
}

// rules are the HTTP rules of the method, the first one first.
func (m method) rules() []*annotations.HttpRule {
	rule, _ := proto.GetExtension(m.descriptor.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		return nil
	}
	return append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...)
}

// request makes the request message of a document in the JSON of protobuf, which
// has no form for the mask "*".
func (m method) request(document any) (proto.Message, error) {
	object, _ := document.(map[string]any)
	everything := object["updateMask"] == "*"
	if everything {
		object = maps.Clone(object)
		delete(object, "updateMask")
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	message := m.input.New()
	if err := protojson.Unmarshal(text, message.Interface()); object != nil && err != nil {
		return nil, fmt.Errorf("the request is not a %s: %w", m.input.Descriptor().Name(), err)
	}
	if everything {
		mask := &fieldmaskpb.FieldMask{Paths: []string{"*"}}
		message.Set(m.input.Descriptor().Fields().ByName("update_mask"), protoreflect.ValueOfMessage(mask.ProtoReflect()))
	}
	return message.Interface(), nil
}
