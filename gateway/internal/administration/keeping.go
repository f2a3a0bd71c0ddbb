package administration

import (
	"context"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/auditv1"
)

type outboxPage struct {
	Messages []*adminv1.OutboundMessage
	States   []adminv1.OutboundMessage_State
	State    string
	Next     string
}

// outbox shows the messages of the node, and sends one anew.
func (a *Administration) outbox(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := within(v)
	defer cancel()
	if sent := v.Sent(); sent != nil {
		_, err := a.messages.RetryMessage(ctx, &adminv1.RetryMessageRequest{Name: sent.Values.Get("messaggio")})
		if err == nil {
			return v.Go(root+"messaggi", "admin_rinvia"), nil
		}
		v.Refused(err, nil)
	}
	data := outboxPage{State: v.URL.Query().Get("stato"), States: []adminv1.OutboundMessage_State{
		adminv1.OutboundMessage_WAITING, adminv1.OutboundMessage_SENT, adminv1.OutboundMessage_UNKNOWN, adminv1.OutboundMessage_FAILED,
	}}
	answer, err := a.messages.ListMessages(ctx, &adminv1.ListMessagesRequest{
		Parent: v.Node(), PageSize: listed, PageToken: v.URL.Query().Get(fieldPage),
		State: adminv1.OutboundMessage_State(adminv1.OutboundMessage_State_value[strings.ToUpper(data.State)]),
	})
	if err != nil {
		return nil, err
	}
	data.Messages, data.Next = answer.GetMessages(), next("messaggi", answer.GetNextPageToken(), url.Values{"stato": {data.State}})
	return show(v, "outbox", v.Say("administration.outbox"), data), nil
}

type copiesPage struct {
	Backups []*adminv1.Backup
	Next    string
}

// backupWithin is how long a backup may take to be made, read or rehearsed while a person waits.
const backupWithin = 25 * time.Second

// copies shows the backups of the node, makes one, and tries one out.
func (a *Administration) copies(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := within(v)
	defer cancel()
	if sent := v.Sent(); sent != nil {
		name, act := sent.Values.Get("copia"), sent.Values.Get(buttonAct)
		long, done := context.WithTimeout(context.WithoutCancel(v.Upstream()), backupWithin)
		defer done()
		var err error
		switch act {
		case "crea":
			_, err = a.backups.CreateBackup(long, &adminv1.CreateBackupRequest{Parent: v.Node()})
		case "verifica":
			_, err = a.backups.VerifyBackup(long, &adminv1.VerifyBackupRequest{Name: name})
		case "prova":
			_, err = a.backups.RehearseRestore(long, &adminv1.RehearseRestoreRequest{Name: name})
		default:
			return nil, site.ErrNoPage
		}
		if err == nil {
			return v.Go(root+"copie", "admin_"+act), nil
		}
		v.Refused(err, nil)
	}
	answer, err := a.backups.ListBackups(ctx, &adminv1.ListBackupsRequest{Parent: v.Node(), PageSize: listed, PageToken: v.URL.Query().Get(fieldPage)})
	switch {
	case status.Code(err) == codes.FailedPrecondition: // the node has no folder for them, and says so
		v.Refused(err, nil)
	case err != nil && v.Sent() == nil:
		return nil, err
	}
	return show(v, "copies", v.Say("administration.copies"), copiesPage{answer.GetBackups(), next("copie", answer.GetNextPageToken(), nil)}), nil
}

type logPage struct {
	Actor, Resource, Action, Outcome, From, To string
	Entries                                    []*auditv1.AuditEntry
	Head                                       *auditv1.AuditHead
	Next                                       string
}

// log searches the audit log.
func (a *Administration) log(v *workbench.Visit) (*site.Page, error) {
	q := v.URL.Query()
	data := logPage{Actor: q.Get("chi"), Resource: q.Get("su"), Action: q.Get("cosa"), Outcome: q.Get("esito"), From: q.Get("dal"), To: q.Get("al")}
	request := &auditv1.ListAuditEntriesRequest{
		Parent: v.Node(), PageSize: listed, PageToken: q.Get(fieldPage), Actor: data.Actor, Resource: data.Resource, Action: data.Action,
		Outcome: auditv1.AuditEntry_Outcome(auditv1.AuditEntry_Outcome_value[strings.ToUpper(data.Outcome)]),
	}
	if day, err := time.ParseInLocation(time.DateOnly, data.From, site.Rome); err == nil {
		request.StartTime = timestamppb.New(day)
	}
	if day, err := time.ParseInLocation(time.DateOnly, data.To, site.Rome); err == nil {
		request.EndTime = timestamppb.New(day.AddDate(0, 0, 1))
	}
	answer, err := a.audit.ListAuditEntries(v.Upstream(), request)
	if err != nil {
		return nil, err
	}
	q.Del(fieldPage)
	data.Entries, data.Next = answer.GetEntries(), next("registro", answer.GetNextPageToken(), q)
	if head, err := a.audit.GetAuditHead(v.Upstream(), &auditv1.GetAuditHeadRequest{Parent: v.Node()}); err == nil {
		data.Head = head
	}
	return show(v, "log", v.Say("administration.log"), data), nil
}
