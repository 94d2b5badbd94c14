package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"time"

	_ "github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"
)

// work is what each peer has to do.
type work struct{ count, size int }

// body returns a body that can't be compressed, the same for each call.
func (w work) body() []byte {
	random := rand.NewChaCha8([32]byte{'p', 'e', 'e', 'r', 's'})
	body := make([]byte, w.size)
	_, _ = random.Read(body)
	return body
}

// place is the database and the queue of one run.
type place struct {
	work
	dsn   string
	amqp  string
	queue string

	admin *sql.DB // of the server
	name  string  // of the database
	conn  *amqp.Connection
	ch    *amqp.Channel
}

func newPlace(ctx context.Context, w work) (_ *place, err error) {
	p := &place{work: w, amqp: os.Getenv("ENTSIGNAL_TEST_AMQP"), name: fmt.Sprintf("peers_%d_%d", os.Getpid(), time.Now().UnixNano()%1e9)}
	server := os.Getenv("ENTSIGNAL_TEST_POSTGRES")
	if server == "" || p.amqp == "" {
		return nil, errors.New("ENTSIGNAL_TEST_POSTGRES and ENTSIGNAL_TEST_AMQP must name the servers; make bench-peers starts them")
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	if p.admin, err = sql.Open("postgres", server); err != nil {
		return nil, err
	}
	if _, err := p.admin.ExecContext(ctx, "CREATE DATABASE "+p.name); err != nil {
		return nil, errors.Join(err, p.admin.Close())
	}
	u.Path = "/" + p.name
	p.dsn = u.String()
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.conn, err = amqp.Dial(p.amqp); err != nil {
		return nil, err
	}
	if p.ch, err = p.conn.Channel(); err != nil {
		return nil, err
	}
	p.queue = p.name
	_, err = p.ch.QueueDeclare(p.queue, true, false, false, false, nil)
	return p, err
}

// settle makes the database ready, so that nobody pays for what the recording left.
func (p *place) settle(ctx context.Context) error {
	db, err := sql.Open("postgres", p.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// await waits until the queue has all messages.
func (p *place) await(ctx context.Context) error {
	for {
		q, err := p.ch.QueueDeclarePassive(p.queue, true, false, false, false, nil)
		if err != nil {
			return err
		}
		if q.Messages >= p.count {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages arrived: %w", q.Messages, p.count, context.Cause(ctx))
		}
	}
}

func (p *place) close() error {
	var errs []error
	if p.ch != nil {
		_, err := p.ch.QueueDelete(p.queue, false, false, false)
		errs = append(errs, err)
	}
	if p.conn != nil {
		errs = append(errs, p.conn.Close())
	}
	_, err := p.admin.Exec("DROP DATABASE " + p.name + " WITH (FORCE)")
	return errors.Join(append(errs, err, p.admin.Close())...)
}
