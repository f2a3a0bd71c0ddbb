package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"cidsistem.example/deploy/demo"
)

const (
	// knockEvery is how often a server that starts is asked whether it is there.
	knockEvery = time.Millisecond
	// servesWithin is the longest that it may take.
	servesWithin = 2 * time.Minute
	// settled is how long after the start memory is read.
	settled = 2 * time.Second
)

// serving waits until a server that was just started says that it serves.
func (f *federation) serving(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, servesWithin)
	defer cancel()
	for {
		knock, err := new(net.Dialer).DialContext(ctx, "tcp", f.Address(id))
		if err == nil {
			_ = knock.Close()
			break
		}
		if err := pause(ctx, knockEvery); err != nil {
			return fmt.Errorf("%s does not start: %w", id, err)
		}
	}
	// A connection that was lost would wait before it tries again.
	conn, err := f.Conn(id)
	if err != nil {
		return err
	}
	f.conns[id] = conn
	return until(ctx, knockEvery, func() (bool, error) {
		health, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return health.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING, err
	})
}

// start measures what servers take: memory after all the work before, time to
// start again, memory then, and disk.
func (b *bench) start(ctx context.Context, f *federation) error {
	node := comuni()[0]
	var rows [][]string
	for _, server := range []struct {
		id, name, data string
		process        *demo.Process
		ready          func(context.Context) error
	}{
		{node, "node", "registry.db", f.Nodes[node], nil},
		{demo.Office, "ufficio comune", "ufficio.db", f.Office, f.inSync},
	} {
		pid, err := f.pid(server.id)
		if err != nil {
			return err
		}
		worked, err := memoryOf(pid)
		if err != nil {
			return err
		}
		var toServe, toSync []time.Duration
		for i := range b.Runs {
			if err := server.process.Stop(ctx); err != nil {
				return err
			}
			began := time.Now()
			if err := server.process.Start(); err != nil {
				return err
			}
			if err := f.serving(ctx, server.id); err != nil {
				return err
			}
			toServe = append(toServe, time.Since(began))
			if server.ready != nil {
				if err := server.ready(ctx); err != nil {
					return err
				}
				toSync = append(toSync, time.Since(began))
			}
			b.progress.say("run %d of %d: %s serves after %s ms", i+1, b.Runs, server.name, milliseconds(toServe[i]))
		}
		if err := pause(ctx, settled); err != nil {
			return err
		}
		if pid, err = f.pid(server.id); err != nil {
			return err
		}
		fresh, err := memoryOf(pid)
		if err != nil {
			return err
		}
		data, err := sizeOf(filepath.Join(f.dir, server.id, server.data))
		index, indexErr := sizeOf(filepath.Join(f.dir, server.id, "search"))
		if err := errors.Join(err, indexErr); err != nil {
			return err
		}
		sync := "–"
		if len(toSync) > 0 {
			sync = milliseconds(median(toSync))
		}
		rows = append(rows, []string{
			server.name, milliseconds(median(toServe)), sync,
			mebibytes(fresh.own), mebibytes(fresh.mapped), mebibytes(worked.own), mebibytes(worked.mapped), mebibytes(worked.peak),
			mebibytes(data), mebibytes(index),
		})
	}
	return errors.Join(
		b.document.heading(3, "Start, memory and disk"),
		b.document.table([]string{
			"", "to SERVING, ms", "all copies in sync, ms", "memory after start, own", "mapped files", "memory after the work above, own", "mapped files", "peak of both",
			"data file", "search index",
		}, rows),
		b.document.paragraph("Own memory is what the process holds (RssAnon); mapped files (RssFile) are pages of the data file and the index that the kernel can take back."),
	)
}
