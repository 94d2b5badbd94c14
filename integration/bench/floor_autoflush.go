package main

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"
)

// handWrittenAutoflush is what one writes without a library to send each
// signal after its commit: the transactions of the plain commit, and one
// goroutine that claims, publishes and deletes what was committed while it did
// so for those before. It connects as ours does.
func handWrittenAutoflush(ctx context.Context, j job, m *meter) error {
	db, err := pool(j)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, ch, err := dialConfirmed(j.AMQP)
	if err != nil {
		return err
	}
	defer conn.Close()
	f := flusher{
		db:    db,
		relay: relay{queue: j.Queue, ch: ch, returned: ch.NotifyReturn(make(chan amqp.Return, j.Parallel))},
		asked: make(chan ask, j.Parallel),
	}
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx) })
	defer running.Wait()
	defer close(f.asked)
	body := makeBody(j.Size)
	return commits(ctx, j, m, func(ctx context.Context) error {
		var order, id int
		err := inTx(ctx, db, func(tx *sql.Tx) error {
			if err := tx.QueryRowContext(ctx, insertOrder, customer).Scan(&order); err != nil {
				return err
			}
			return tx.QueryRowContext(ctx, insertEvent+" RETURNING id", order, body).Scan(&id)
		})
		if err != nil {
			return err
		}
		done := make(chan error, 1)
		f.asked <- ask{id, done}
		return <-done
	})
}

// flusher sends what was committed.
type flusher struct {
	db    *sql.DB
	relay relay
	asked chan ask
}

// ask is a commit that waits until its signal is sent.
type ask struct {
	id   int
	done chan<- error
}

func (f *flusher) run(ctx context.Context) {
	const claim = `DELETE FROM events WHERE id = ANY(ARRAY(
		SELECT id FROM events WHERE id = ANY($1) FOR UPDATE SKIP LOCKED)) RETURNING id, payload`
	for first := range f.asked {
		batch := []ask{first}
		for more := len(f.asked); more > 0; more-- {
			batch = append(batch, <-f.asked)
		}
		ids := make([]int, len(batch))
		for i, a := range batch {
			ids[i] = a.id
		}
		n, err := f.relay.batch(ctx, f.db, claim, pq.Array(ids))
		if err == nil && n != len(batch) {
			err = fmt.Errorf("sent %d of %d", n, len(batch))
		}
		for _, a := range batch {
			a.done <- err
		}
	}
}
