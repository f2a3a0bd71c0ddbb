package access

import (
	"strings"

	"cidsistem.example/proto/gen/annotationsv1"
)

// labels are what people read of the roles.
var labels = map[annotationsv1.Role]string{
	annotationsv1.Role_READER:             "lettore della rete",
	annotationsv1.Role_EDITOR:             "redattore",
	annotationsv1.Role_PUBLISHER:          "responsabile della pubblicazione",
	annotationsv1.Role_SUPPORT_DESK:       "sportello",
	annotationsv1.Role_PLANNER:            "programmazione",
	annotationsv1.Role_NODE_ADMINISTRATOR: "amministratore del nodo",
	annotationsv1.Role_AUDITOR:            "revisore",
}

// Label is what people read of a role, Italian.
func Label(role annotationsv1.Role) string { return labels[role] }

// serverLabels are what people read of the servers.
var serverLabels = map[annotationsv1.ServerRole]string{
	annotationsv1.ServerRole_COMUNE:  "nodo di un comune",
	annotationsv1.ServerRole_UFFICIO: "ufficio comune",
	annotationsv1.ServerRole_GATEWAY: "gateway",
	annotationsv1.ServerRole_ADMIN:   "certificato di amministratore",
}

// A Row of the table of who may call what, in words.
type Row struct {
	// Service and Method are the names of the contract, for example
	// "ServiceService" and "CreateService".
	Service, Method string
	// Who may call it, Italian.
	Who string
	// ToShowMore are the roles that are needed besides to let more people see a
	// record than before, Italian; empty: no more than that.
	ToShowMore string
	// Audited tells that every call leaves an audit entry, not only changes and
	// refusals.
	Audited bool
}

// Table is the rules in words, in the order of the names.
func Table() ([]Row, error) {
	rules, err := Rules()
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, rule := range rules {
		service, method, _ := strings.Cut(strings.TrimPrefix(rule.Method, "/"), "/")
		rows = append(rows, Row{
			Service: service[strings.LastIndexByte(service, '.')+1:], Method: method,
			Who: rule.who(), ToShowMore: roles(rule.GetToShowMore()),
			Audited: rule.GetAudit() == annotationsv1.AuditRule_EVERY_CALL,
		})
	}
	return rows, nil
}

func (r Rule) who() string {
	var who []string
	if r.GetAnyone() {
		who = append(who, "chiunque")
	}
	if r.GetSelf() {
		who = append(who, "chi ha effettuato l'accesso, per sé")
	}
	if names := roles(r.GetRoles()); names != "" {
		if r.GetWhole() {
			names += " di tutto il comune"
		}
		who = append(who, names)
	}
	for _, server := range r.GetServers() {
		who = append(who, serverLabels[server])
	}
	if r.GetLocalOnly() {
		who = append(who, "solo dal server stesso")
	}
	return strings.Join(who, "; ")
}

func roles(list []annotationsv1.Role) string {
	var names []string
	for _, role := range list {
		names = append(names, Label(role))
	}
	return strings.Join(names, ", ")
}
