package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"time"

	"entgo.io/ent/dialect"
	"github.com/go-sql-driver/mysql"
	amqp "github.com/rabbitmq/amqp091-go"
)

// What every message has, whoever publishes it.
const (
	appID       = "bench"
	contentType = "application/octet-stream"
)

// customer is what every business row has.
const customer = "Ada Lovelace"

// makeBody returns a body that can't be compressed, the same for each call.
func makeBody(size int) []byte {
	random := rand.NewChaCha8([32]byte{'b', 'e', 'n', 'c', 'h'})
	body := make([]byte, size)
	_, _ = random.Read(body)
	return body
}

// stage has the databases and the broker that the jobs run on. It prepares
// what a job needs, and afterwards checks what the job left there: a figure of
// work that was not done is worse than none.
type stage struct {
	amqp      string
	brokerPID int
	broker    *amqp.Connection
	databases map[string]*database // by ent's name
	profile   string
	do        func(context.Context, job) (Figure, error) // where jobs are done: each in a process of its own
}

// database is one database that all jobs of its kind share, one after another.
type database struct {
	kind string
	dsn  string
	pid  int
	db   *sql.DB
	drop func() error
}

func newStage(ctx context.Context, profile string) (_ *stage, err error) {
	s := &stage{databases: make(map[string]*database), profile: profile}
	s.do = func(ctx context.Context, j job) (Figure, error) { return j.do(ctx) }
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.amqp, err = serverAddress("ENTSIGNAL_TEST_AMQP"); err != nil {
		return s, err
	}
	if s.broker, err = amqp.Dial(s.amqp); err != nil {
		return s, fmt.Errorf("broker: %w", err)
	}
	if s.brokerPID, err = listenerOfURL(s.amqp, "5672"); err != nil {
		return s, err
	}
	for kind, create := range map[string]func() (*database, error){
		dialect.Postgres: createPostgres,
		dialect.MySQL:    createMariaDB,
		dialect.SQLite:   createSQLite,
	} {
		d, err := create()
		if err != nil {
			return s, fmt.Errorf("%s: %w", kind, err)
		}
		d.kind = kind
		s.databases[kind] = d
		if err := d.createTables(ctx); err != nil {
			return s, fmt.Errorf("%s: %w", kind, err)
		}
	}
	return s, nil
}

func (s *stage) close() error {
	var errs []error
	for _, d := range s.databases {
		errs = append(errs, d.db.Close(), d.drop())
	}
	if s.broker != nil {
		errs = append(errs, s.broker.Close())
	}
	return errors.Join(errs...)
}

// run runs the job on what it prepares for it, and checks what it left.
func (s *stage) run(ctx context.Context, j job) (f Figure, err error) {
	p := programs()[j.Program]
	j.AMQP, j.BrokerPID, j.Profile = s.amqp, s.brokerPID, s.profile
	checks := make([]func() error, 0, 2)
	if j.Database != "" {
		d := s.databases[j.Database]
		j.DSN, j.DatabasePID = d.dsn, d.pid
		rows := 0
		if p.drains {
			rows = j.Count
		}
		if err := d.fill(ctx, p.signals(), rows, j.Keys, makeBody(j.Size)); err != nil {
			return Figure{}, err
		}
		left := 0
		if p.records {
			left = j.Count / max(j.Copies, 1)
		}
		checks = append(checks, func() error { return d.check(ctx, p.signals(), left) })
		if j.OldSnapshot {
			release, err := d.holdSnapshot(ctx, p.signals())
			if err != nil {
				return Figure{}, err
			}
			defer release()
		}
	}
	if p.sends {
		q, err := s.declare(j.Quorum)
		if err != nil {
			return Figure{}, err
		}
		defer func() { err = errors.Join(err, q.delete()) }()
		j.Queue = q.name
		checks = append(checks, func() error { return q.check(ctx, j.Count) })
	}
	if f, err = s.do(ctx, j); err != nil {
		return f, err
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return f, fmt.Errorf("%s: %w", j.name(), err)
		}
	}
	return f, nil
}

// queue is the queue of one run.
type queue struct {
	ch   *amqp.Channel
	name string
	args amqp.Table
}

func (s *stage) declare(quorum bool) (*queue, error) {
	ch, err := s.broker.Channel()
	if err != nil {
		return nil, err
	}
	q := &queue{ch: ch, name: fmt.Sprintf("bench-%d-%d", os.Getpid(), time.Now().UnixNano()), args: amqp.Table{"x-queue-type": queueName(quorum)}}
	_, err = ch.QueueDeclare(q.name, true, false, false, false, q.args)
	return q, err
}

// check waits until the queue holds as many messages as it must; a quorum
// queue counts a moment behind its confirms.
func (q *queue) check(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		state, err := q.ch.QueueDeclarePassive(q.name, true, false, false, false, q.args)
		if err != nil || state.Messages == want {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the queue has %d messages, and not %d", state.Messages, want)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (q *queue) delete() error {
	_, err := q.ch.QueueDelete(q.name, false, false, false)
	return errors.Join(err, q.ch.Close())
}

// serverAddress returns the value of an environment variable that names a server.
func serverAddress(key string) (string, error) {
	value := os.Getenv(key)
	if value == "" {
		return "", fmt.Errorf("%s is not set: `make bench` starts the servers and sets it; or: eval \"$(integration/services env)\"", key)
	}
	return value, nil
}

func listenerOfURL(server, defaultPort string) (int, error) {
	u, err := url.Parse(server)
	if err != nil {
		return 0, err
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	return listener(net.JoinHostPort(u.Hostname(), port))
}

func listenerOfDSN(dsn string) (int, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return 0, err
	}
	return listener(cfg.Addr)
}
