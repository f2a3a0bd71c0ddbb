package catalog

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// A Verb is a standard method (AIP-131 to 135, 164).
type Verb string

// The standard methods.
const (
	Get      Verb = "Get"
	List     Verb = "List"
	Create   Verb = "Create"
	Update   Verb = "Update"
	Delete   Verb = "Delete"
	Undelete Verb = "Undelete"
)

// Writes tells whether the method changes records.
func (v Verb) Writes() bool { return v != Get && v != List }

// A Method is a standard method of a kind.
type Method struct {
	Kind *Kind
	Verb Verb
	// Full is its gRPC name, for example
	// "/cidsistem.registry.v1.ServiceService/GetService".
	Full          string
	input, output protoreflect.MessageType
}

// NewRequest makes an empty request message.
func (m Method) NewRequest() proto.Message { return m.input.New().Interface() }

// NewResponse makes an empty response message.
func (m Method) NewResponse() proto.Message { return m.output.New().Interface() }

// Methods lists the standard methods of a kind.
func (k *Kind) Methods() []Method {
	var methods []Method
	for i := range k.Service.Methods().Len() {
		md := k.Service.Methods().Get(i)
		for _, verb := range []Verb{Get, List, Create, Update, Delete, Undelete} {
			name := string(verb) + string(k.Descriptor().Name())
			if verb == List {
				name = string(verb) + plural(k.Collection)
			}
			if string(md.Name()) == name {
				methods = append(methods, Method{
					Kind: k, Verb: verb,
					Full:   fmt.Sprintf("/%s/%s", k.Service.FullName(), md.Name()),
					input:  messageType(md.Input()),
					output: messageType(md.Output()),
				})
			}
		}
	}
	return methods
}

// Method finds a standard method of a kind; ok is false when it has none.
func (k *Kind) Method(verb Verb) (method Method, ok bool) {
	for _, m := range k.Methods() {
		if m.Verb == verb {
			return m, true
		}
	}
	return Method{}, false
}

func plural(collection string) string {
	return string(collection[0]-'a'+'A') + collection[1:]
}

func messageType(md protoreflect.MessageDescriptor) protoreflect.MessageType {
	mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
	if err != nil {
		panic(fmt.Sprintf("catalog: %s is not linked: %v", md.FullName(), err))
	}
	return mt
}
