// Package catalog knows the kinds of record of the contract, all of it read
// from the descriptors: names, collections, references, what search uses, what
// is confidential. A new message with the kind annotation is known here without
// a line of code.
package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"cidsistem.example/proto/gen/annotationsv1"
	// The kinds themselves.
	_ "cidsistem.example/proto/gen/registryv1"
)

// A Kind of record.
type Kind struct {
	// Collection is the plural in names, for example "services".
	Collection string
	// Singular is the field name of one record in requests, for example "service".
	Singular string
	// Type is the resource type, for example "registry.cidsistem.example/Service".
	Type string
	// Label and LabelPlural are Italian.
	Label, LabelPlural string
	// Singleton is true for the record that every comune has exactly once.
	Singleton bool
	// VerifyAfter is after how long a record must be verified again.
	VerifyAfter time.Duration
	// Parent is the kind whose records contain these; the comune itself has none.
	Parent *Kind
	// Service has the standard methods.
	Service protoreflect.ServiceDescriptor

	message protoreflect.MessageType
	pattern []string // collection segments, outermost first
	steps   []step
	fields  standardFields
	// serverFields are written by nobody but the server.
	serverFields []protoreflect.FieldDescriptor
}

var (
	kinds        []*Kind
	byCollection = map[string]*Kind{}
	byType       = map[string]*Kind{}
	byMessage    = map[protoreflect.FullName]*Kind{}
)

func init() {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Messages().Len() {
			if k := kindOf(file.Messages().Get(i)); k != nil {
				kinds = append(kinds, k)
				byCollection[k.Collection] = k
				byType[k.Type] = k
				byMessage[k.message.Descriptor().FullName()] = k
			}
		}
		return true
	})
	slices.SortFunc(kinds, func(a, b *Kind) int { return strings.Compare(a.Collection, b.Collection) })
	for _, k := range kinds {
		if len(k.pattern) > 1 {
			k.Parent = byCollection[k.pattern[len(k.pattern)-2]]
		}
		k.steps = compile(k.message.Descriptor())
		k.fields = standardFieldsOf(k.message.Descriptor())
		k.serverFields = serverFieldsOf(k.message.Descriptor())
		k.Service = serviceOf(k)
	}
}

func kindOf(md protoreflect.MessageDescriptor) *Kind {
	resource, _ := proto.GetExtension(md.Options(), annotations.E_Resource).(*annotations.ResourceDescriptor)
	options, _ := proto.GetExtension(md.Options(), annotationsv1.E_Kind).(*annotationsv1.KindOptions)
	if resource == nil || options == nil {
		return nil
	}
	message, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
	if err != nil {
		panic(fmt.Sprintf("catalog: %s is not linked: %v", md.FullName(), err))
	}
	k := &Kind{
		Collection:  resource.GetPlural(),
		Singular:    resource.GetSingular(),
		Type:        resource.GetType(),
		Label:       options.GetLabel(),
		LabelPlural: options.GetLabelPlural(),
		Singleton:   options.GetSingleton(),
		VerifyAfter: verifyAfter(options.GetVerifyAfterDays()),
		message:     message,
	}
	for i, segment := range strings.Split(resource.GetPattern()[0], "/") {
		if i%2 == 0 {
			k.pattern = append(k.pattern, segment)
		}
	}
	return k
}

// standardDays is after how many days a record must be verified again where its
// kind does not say.
const standardDays = 180

func verifyAfter(days int32) time.Duration {
	if days == 0 {
		days = standardDays
	}
	return time.Duration(days) * 24 * time.Hour
}

// serviceOf finds the service with the standard methods of a kind.
func serviceOf(k *Kind) protoreflect.ServiceDescriptor {
	name := k.message.Descriptor().FullName() + "Service"
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		panic(fmt.Sprintf("catalog: the service of %s is not generated: %v", k.Collection, err))
	}
	return d.(protoreflect.ServiceDescriptor)
}

// Kinds lists all kinds by collection.
func Kinds() []*Kind { return slices.Clone(kinds) }

// ByCollection finds a kind by its plural, nil when there is none.
func ByCollection(collection string) *Kind { return byCollection[collection] }

// ByType finds a kind by its resource type, nil when there is none.
func ByType(resourceType string) *Kind { return byType[resourceType] }

// Of finds the kind of a record, nil when the message is no record.
func Of(record proto.Message) *Kind {
	return byMessage[record.ProtoReflect().Descriptor().FullName()]
}

// New makes an empty record.
func (k *Kind) New() proto.Message { return k.message.New().Interface() }

// Descriptor describes the record's message.
func (k *Kind) Descriptor() protoreflect.MessageDescriptor { return k.message.Descriptor() }

// Depth is the number of ids in a name: 1 for a comune, 2 for most, 3 for the
// records of a record.
func (k *Kind) Depth() int { return len(k.pattern) }
