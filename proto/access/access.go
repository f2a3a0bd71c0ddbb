// Package access reads from the contract who may call what.
package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"cidsistem.example/proto/gen/annotationsv1"

	// Every service of the contract has its rules read here.
	_ "cidsistem.example/proto/gen/adminv1"
	_ "cidsistem.example/proto/gen/auditv1"
	_ "cidsistem.example/proto/gen/deskv1"
	_ "cidsistem.example/proto/gen/editorialv1"
	_ "cidsistem.example/proto/gen/exchangev1"
	_ "cidsistem.example/proto/gen/federationv1"
	_ "cidsistem.example/proto/gen/feedv1"
	_ "cidsistem.example/proto/gen/identityv1"
	_ "cidsistem.example/proto/gen/registryv1"
)

// A Rule says who may call a method.
type Rule struct {
	*annotationsv1.AccessRule
	// Method is its gRPC name, for example
	// "/cidsistem.registry.v1.ServiceService/GetService".
	Method string
	// about leads to the field that names what a call is about.
	about []protoreflect.FieldDescriptor
}

// Rules lists the rules of all methods of the contract, by name. A method
// without a rule, or with one that makes no sense, is an error.
func Rules() ([]Rule, error) {
	var rules []Rule
	var problems []error
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "cidsistem.") {
			return true
		}
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				rule, err := ruleOf(service.Methods().Get(j))
				rules, problems = append(rules, rule), append(problems, err)
			}
		}
		return true
	})
	slices.SortFunc(rules, func(a, b Rule) int { return strings.Compare(a.Method, b.Method) })
	return rules, errors.Join(problems...)
}

func ruleOf(md protoreflect.MethodDescriptor) (Rule, error) {
	rule := Rule{Method: fmt.Sprintf("/%s/%s", md.Parent().FullName(), md.Name())}
	if rule.AccessRule, _ = proto.GetExtension(md.Options(), annotationsv1.E_Access).(*annotationsv1.AccessRule); rule.AccessRule == nil {
		return rule, fmt.Errorf("%s has no rule who may call it", rule.Method)
	}
	if !rule.GetAnyone() && !rule.GetSelf() && !rule.GetLocalOnly() && len(rule.GetRoles())+len(rule.GetServers()) == 0 {
		return rule, fmt.Errorf("%s: its rule lets nobody call it", rule.Method)
	}
	if rule.GetAbout() == "" {
		return rule, nil
	}
	message := md.Input()
	for name := range strings.SplitSeq(rule.GetAbout(), ".") {
		if message == nil {
			return rule, fmt.Errorf("%s: its rule is about %q, which is not a field of its request", rule.Method, rule.GetAbout())
		}
		fd := message.Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			return rule, fmt.Errorf("%s: its rule is about %q, which is not a field of its request", rule.Method, rule.GetAbout())
		}
		rule.about, message = append(rule.about, fd), fd.Message()
	}
	if last := rule.about[len(rule.about)-1]; last.Kind() != protoreflect.StringKind || last.IsList() {
		return rule, fmt.Errorf("%s: its rule is about %q, which is not a name", rule.Method, rule.GetAbout())
	}
	return rule, nil
}

// AboutOf reads from a request what a call is about; empty: the server itself,
// or nothing that the request names.
func (r Rule) AboutOf(request proto.Message) string {
	if len(r.about) == 0 {
		return ""
	}
	m := request.ProtoReflect()
	for _, fd := range r.about[:len(r.about)-1] {
		m = m.Get(fd).Message()
	}
	return m.Get(r.about[len(r.about)-1]).String()
}

// AboutField is the field of a request without the name that it must have, with
// JSON names: the part that is missing, where it has several.
func (r Rule) AboutField() string {
	var path []string
	for _, fd := range r.about {
		path = append(path, fd.JSONName())
		if fd.ContainingOneof() != nil {
			break
		}
	}
	return strings.Join(path, ".")
}

// Covers tells whether a scope contains what a call is about: itself and what is
// inside it. "comuni/-" is for calls about the whole federation; no comune is
// inside it, since nobody has power over them all. The node of a comune, which
// has its id, is inside the comune, for the methods that let roles over a comune
// do something there.
func Covers(scope, about string) bool {
	if node, found := strings.CutPrefix(about, "nodes/"); found {
		if comune, of := strings.CutPrefix(scope, "comuni/"); of {
			about, scope = node, comune
		}
	}
	return scope != "" && (about == scope || strings.HasPrefix(about, scope+"/"))
}

// ComuneOf is the comune of a scope of an organisation, and the organisation's
// name; ok is false for any other scope.
func ComuneOf(scope string) (comune, organization string, ok bool) {
	comune, id, found := strings.Cut(scope, "/organizations/")
	if !found || strings.Contains(id, "/") {
		return "", "", false
	}
	return comune, scope, true
}
