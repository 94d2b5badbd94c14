package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"
)

// handWrittenRelay is what one writes without a library: plain SQL and
// amqp091-go, one transaction for each batch. It takes the rows by deleting
// them, publishes, waits for the confirms, and commits.
func handWrittenRelay(ctx context.Context, j job, m *meter) error {
	if err := m.start(); err != nil {
		return err
	}
	db, err := sql.Open("postgres", j.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, ch, err := dialConfirmed(j.AMQP)
	if err != nil {
		return err
	}
	defer conn.Close()
	const claim = `DELETE FROM events WHERE id = ANY(ARRAY(
		SELECT id FROM events WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING id, payload`
	r := relay{queue: j.Queue, ch: ch, returned: ch.NotifyReturn(make(chan amqp.Return, j.Burst))}
	for sent := 0; sent < j.Count; {
		n, err := r.batch(ctx, db, claim, r.last, j.Burst)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("only %d of %d rows were there", sent, j.Count)
		}
		sent += n
	}
	return m.stop(j.Count)
}

type relay struct {
	queue    string
	ch       *amqp.Channel
	returned <-chan amqp.Return
	last     int // the highest id that was sent
}

// batch sends the rows that a claim deletes and returns, and reports how many
// they were.
func (r *relay) batch(ctx context.Context, db *sql.DB, claim string, args ...any) (int, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	confirms, err := r.publish(ctx, tx, claim, args)
	if err != nil {
		return 0, err
	}
	for _, c := range confirms {
		if ok, err := c.WaitContext(ctx); err != nil || !ok {
			return 0, errors.Join(errors.New("not confirmed"), err)
		}
	}
	if err := anyReturned(r.returned); err != nil {
		return 0, err
	}
	return len(confirms), tx.Commit()
}

func (r *relay) publish(ctx context.Context, tx *sql.Tx, claim string, args []any) (confirms []*amqp.DeferredConfirmation, err error) {
	rows, err := tx.QueryContext(ctx, claim, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		var payload []byte
		if err := rows.Scan(&id, &payload); err != nil {
			return nil, err
		}
		c, err := publishRaw(ctx, r.ch, r.queue, id, payload, nil)
		if err != nil {
			return nil, err
		}
		confirms = append(confirms, c)
		r.last = max(r.last, id)
	}
	return confirms, rows.Err()
}
