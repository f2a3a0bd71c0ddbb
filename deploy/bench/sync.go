package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/federationv1"
)

// maxSyncs bounds how often a copy of everything is taken, which may last
// minutes.
const maxSyncs = 3

// sync lets an empty ufficio comune take its copies; it is not running when
// called, and in step when done.
func (b *bench) sync(ctx context.Context, f *federation, kept string) error {
	if !b.wants("sync") {
		return f.follow(ctx, kept)
	}
	runs := min(b.Runs, maxSyncs)
	total := f.totalOfAll()
	var copied, searchable []time.Duration
	for i := range runs {
		if i > 0 {
			if err := f.Office.Stop(ctx); err != nil {
				return err
			}
		}
		inSync, found, err := f.coldSync(ctx, total)
		if err != nil {
			return err
		}
		b.progress.say("run %d of %d: in sync after %s s, search complete after %s s", i+1, runs, seconds(inSync), seconds(found))
		copied, searchable = append(copied, inSync), append(searchable, found)
	}
	if err := f.gatewayServes(ctx); err != nil {
		return err
	}
	perSecond := func(d time.Duration) string { return whole(float64(total) / d.Seconds()) }
	return errors.Join(
		b.document.heading(3, "Cold start of an empty ufficio comune"),
		b.document.table([]string{fmt.Sprintf("%s records, %d runs", whole(float64(total)), runs), "s", "records/s"}, [][]string{
			{"until all copies are in sync", seconds(median(copied)), perSecond(median(copied))},
			{"until search finds all of them", seconds(median(searchable)), perSecond(median(searchable))},
		}),
	)
}

// follow brings the ufficio comune into step without measuring: from nothing, or
// from what was kept.
func (f *federation) follow(ctx context.Context, kept string) error {
	taken, err := f.takeKept(kept, demo.Office)
	if err != nil {
		return err
	}
	if !taken {
		if _, _, err := f.coldSync(ctx, f.totalOfAll()); err != nil {
			return err
		}
		if kept == "" {
			return f.gatewayServes(ctx)
		}
		if err := errors.Join(f.Office.Stop(ctx), f.keep(kept, demo.Office)); err != nil {
			return err
		}
	}
	if err := f.startOffice(ctx); err != nil {
		return err
	}
	if err := f.finds(ctx, demo.Office, f.totalOfAll()); err != nil {
		return err
	}
	return f.gatewayServes(ctx)
}

// totalOfAll is how many records the nodes have together.
func (f *federation) totalOfAll() int {
	total := 0
	for _, comune := range comuni() {
		total += f.total(comune)
	}
	return total
}

// startOffice starts the ufficio comune and waits until it is in step.
func (f *federation) startOffice(ctx context.Context) error {
	if err := f.Office.Start(); err != nil {
		return err
	}
	if err := f.serving(ctx, demo.Office); err != nil {
		return err
	}
	return f.inSync(ctx)
}

// coldSync starts the ufficio comune without data, and tells how long it takes
// from the start of the process until it has everything, and finds everything.
func (f *federation) coldSync(ctx context.Context, total int) (inSync, found time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	if err := os.RemoveAll(filepath.Join(f.dir, demo.Office)); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := f.startOffice(ctx); err != nil {
		return 0, 0, err
	}
	inSync = time.Since(began)
	err = f.finds(ctx, demo.Office, total)
	return inSync, time.Since(began), err
}

// inSync waits until the ufficio comune says that it has what every node has.
func (f *federation) inSync(ctx context.Context) error {
	board, err := federationv1.NewFederationServiceClient(f.conns[demo.Office]).WatchNodes(ctx, &federationv1.WatchNodesRequest{})
	if err != nil {
		return fmt.Errorf("watch the nodes: %w", err)
	}
	behind := map[string]bool{}
	for first := true; first || len(behind) > 0; first = false {
		news, err := board.Recv()
		if err != nil {
			return fmt.Errorf("watch the nodes: %w", err)
		}
		for _, node := range news.GetNodes() {
			delete(behind, node.GetName())
			if node.GetState() != federationv1.Node_IN_SYNC || node.GetLagRevisions() > 0 {
				behind[node.GetName()] = true
			}
		}
	}
	return nil
}

// gatewayServes waits until the gateway has found the ufficio comune again.
func (f *federation) gatewayServes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, servesWithin)
	defer cancel()
	return until(ctx, 50*time.Millisecond, func() (bool, error) {
		_, err := fetchHTTP(ctx, f.HTTP(), "/v1/nodes")
		return err == nil, ctx.Err()
	})
}
