package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// job is a message as River stores it.
type job struct {
	Body []byte `json:"body"`
}

func (job) Kind() string { return "message" }

// riverPeer is River with a worker that publishes. At once means that it fetches as soon
// as workers are free, and not each 100 ms.
func riverPeer(name string, workers int, atOnce bool) peer {
	config := func(pub *publisher, queue string) *river.Config {
		all := river.NewWorkers()
		river.AddWorker(all, river.WorkFunc(func(ctx context.Context, j *river.Job[job]) error { return pub.publish(ctx, queue, j.Args.Body) }))
		c := &river.Config{
			Workers: all,
			Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
			Logger:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		}
		if atOnce {
			c.FetchCooldown, c.FetchPollInterval = time.Millisecond, 10*time.Millisecond
		}
		return c
	}
	client := func(ctx context.Context, p *place, pub *publisher) (*river.Client[pgx.Tx], *pgxpool.Pool, error) {
		pool, err := pgxpool.New(ctx, p.dsn)
		if err != nil {
			return nil, nil, err
		}
		c, err := river.NewClient(riverpgxv5.New(pool), config(pub, p.queue))
		return c, pool, err
	}
	return peer{
		name: name,
		record: func(ctx context.Context, p *place) error {
			c, pool, err := client(ctx, p, nil)
			if err != nil {
				return err
			}
			defer pool.Close()
			m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
			if err != nil {
				return err
			}
			if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
				return err
			}
			body := p.body()
			for done := 0; done < p.count; done += 1000 {
				rows := make([]river.InsertManyParams, min(1000, p.count-done))
				for i := range rows {
					rows[i].Args = job{Body: body}
				}
				if _, err := c.InsertManyFast(ctx, rows); err != nil {
					return err
				}
			}
			return nil
		},
		send: func(ctx context.Context, p *place) (err error) {
			pub, err := newPublisher(p.amqp)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, pub.close()) }()
			c, pool, err := client(ctx, p, pub)
			if err != nil {
				return err
			}
			defer pool.Close()
			if err := c.Start(context.WithoutCancel(ctx)); err != nil {
				return err
			}
			<-ctx.Done()
			return c.Stop(context.WithoutCancel(ctx))
		},
	}
}
