package registry

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/editorial"
	"cidsistem.example/services/internal/store"
)

const (
	// upkeepEvery is how often the node tidies up.
	upkeepEvery = time.Minute
	// answersKept is for how long a request id is remembered (the contract says
	// seven days).
	answersKept = 7 * 24 * time.Hour
	// filesKept is for how long a file without a document stays.
	filesKept = 7 * 24 * time.Hour
)

func (n *Node) upkeep(ctx context.Context) error {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		if err := n.Tidy(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("upkeep failed", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Tidy purges what was deleted long ago, trims the feed, forgets old answers,
// erases old requests of the public and removes files that no document refers
// to. It runs by itself every minute.
func (n *Node) Tidy(ctx context.Context) error {
	purged, err := n.store.Purge(ctx)
	if err != nil {
		return err
	}
	trimmed, err := n.store.Trim(ctx, store.Retention{Revisions: n.settings.Retention.Revisions, Age: time.Duration(n.settings.Retention.Age)})
	if err != nil {
		return err
	}
	forgotten, err := n.store.ForgetRequests(ctx, n.store.Now().Add(-answersKept))
	if err != nil {
		return err
	}
	used, err := n.usedFiles()
	if err != nil {
		return err
	}
	swept, err := n.files.Sweep(ctx, n.store.Now().Add(-filesKept), func(sum string) bool { return used[sum] })
	if err != nil {
		return fmt.Errorf("sweep files: %w", err)
	}
	erased, err := n.desk.Purge(ctx)
	if err != nil {
		return fmt.Errorf("erase old requests: %w", err)
	}
	ratings, err := n.feedback.Purge(ctx)
	if err != nil {
		return err
	}
	merges, err := n.duplicates.Purge(ctx)
	if err != nil {
		return err
	}
	messages, err := n.mail.Purge(ctx)
	if err != nil {
		return err
	}
	edited, err := n.editors.Tidy(ctx)
	if err != nil {
		return err
	}
	if edited != (editorial.Tidied{}) {
		n.log.Info("editorial office tidied up", "published", edited.Published, "suspended", edited.Suspended, "erased", edited.Erased, "reminded", edited.Reminded)
	}
	if purged+forgotten+swept+erased+ratings+merges+messages+int(trimmed) > 0 {
		n.log.Info("tidied up", "purged", purged, "requests", erased, "ratings", ratings, "merges", merges, "messages", messages, "trimmed", trimmed, "answers", forgotten, "files", swept)
	}
	return nil
}

// usedFiles lists the files that documents refer to, deleted ones too: they can
// be undeleted; and those that imports read.
func (n *Node) usedFiles() (map[string]bool, error) {
	used := map[string]bool{}
	imported, err := n.imports.UsedFiles()
	if err != nil {
		return nil, err
	}
	for _, sum := range imported {
		used[sum] = true
	}
	query := store.Query{
		Kind: catalog.ByCollection("documents"), Within: []string{n.settings.Comune.ID},
		Limit: 500, ShowDeleted: true, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL},
	}
	for {
		var records []proto.Message
		err := n.store.View(func(r store.Reader) (err error) {
			records, query.After, err = r.List(query)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, record := range records {
			for _, file := range record.(*registryv1.Document).GetFiles() {
				used[file.GetSha256()] = true
			}
		}
		if query.After == nil {
			return used, nil
		}
	}
}

// Nodes lists the node itself.
func (n *Node) Nodes() []*federationv1.Node {
	head := n.store.Head().Revision
	return []*federationv1.Node{{
		Name: "nodes/" + n.settings.Comune.ID, Comuni: []string{n.settings.Comune.ID}, Self: true,
		State: federationv1.Node_IN_SYNC, Revision: head, HeadRevision: head, AsOfTime: timestamppb.New(n.store.Now()),
	}}
}

// Changed never is: a node has no peers whose state could change.
func (n *Node) Changed() <-chan struct{} { return n.never }

// Resync is not for a node.
func (n *Node) Resync(context.Context, string) error {
	return apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "a comune's node keeps no copies; ask the ufficio comune")
}
