package pqconn

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

// WakeUp wakes other processes by PostgreSQL's LISTEN and NOTIFY. It is what
// entsignal.WithWakeUp takes, whatever driver the program itself uses:
//
//	wakeUp, err := pqconn.NewWakeUp(os.Getenv("DATABASE_URL"))
//	...
//	bus, err := ent.NewSignalBus(senders, entsignal.WithWakeUp(wakeUp))
//
// A process that notifies has one connection more than before, and one that
// listens has two. They don't count in any pool.
//
// NOTIFY takes a lock of the whole server when its transaction commits. In the
// transaction of the signal it was measured to cost four fifths of the commits, by a
// trigger as much; so it is sent after the commit, on a connection of its own and at
// most every 10 ms, where it was measured to cost none.
//
// The channel has the names of the database and of the schema that the connection
// looks into first. A writer in another language wakes the relays, after its commit,
// by
//
//	SELECT pg_notify(left('entsignal:' || current_database() || '.' || current_schema(), 63), 'OrderPlaced,UserJoined')
//
// with the names of the signals, or an empty text for all.
//
// A pooler that gives out its connections for one transaction each, as PgBouncer
// mostly does, takes a LISTEN without an error and delivers nothing. The relay
// therefore has the WakeUp prove that it works, and polls if it doesn't. Give
// NewWakeUp an address that leads to PostgreSQL itself, or through a pool of
// sessions. With several hosts, set target_session_attrs=read-write: a standby takes
// no LISTEN.
type WakeUp struct {
	dsn string
	cfg config

	life context.Context // ends with Close
	end  context.CancelFunc

	turn chan struct{} // has its element while nobody uses conn
	conn *notifying    // nil: there is none

	mu       sync.Mutex
	channel  string // empty until the server has told it
	tokens   map[string]chan struct{}
	lastFail error // why Listen has no connection
}

// NewWakeUp returns a wake-up for the database at dsn, a URL or a list of key=value
// as lib/pq takes them. It doesn't connect. Options: WithTimeout, WithConnectTimeout.
// Its errors are those of [NewConnector].
func NewWakeUp(dsn string, opts ...Option) (*WakeUp, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	if cfg.statements > 0 {
		return nil, errors.New("pqconn: NewWakeUp doesn't use the option WithStatementCache; it uses: WithTimeout, WithConnectTimeout")
	}
	if _, err := newConnector(dsn, cfg, nil); err != nil {
		return nil, err
	}
	w := &WakeUp{dsn: dsn, cfg: cfg, turn: make(chan struct{}, 1), tokens: make(map[string]chan struct{})}
	w.life, w.end = context.WithCancel(context.Background())
	w.turn <- struct{}{}
	return w, nil
}

// Close closes the connection by which the wake-up notifies, and ends Listen. It
// returns nil. Close it after the bus.
func (w *WakeUp) Close() error {
	w.end()
	<-w.turn
	if w.conn != nil {
		w.conn.close()
		w.conn = nil
	}
	w.turn <- struct{}{}
	return nil
}

// errClosed is the error of a wake-up that was closed.
var errClosed = errors.New("pqconn: the wake-up is closed")

// maxPayload is below the longest payload that PostgreSQL takes, 7999 bytes.
const maxPayload = 7900

// Notify implements entsignal's WakeUp: it tells all who listen that signals of
// these types wait. It returns when the server has taken the notification, or at the
// end of ctx.
func (w *WakeUp) Notify(ctx context.Context, signals []string) error {
	payload := strings.Join(signals, ",")
	if len(payload) > maxPayload {
		payload = "" // all
	}
	if err := w.notify(ctx, payload); err != nil {
		return fmt.Errorf("pqconn: notify: %w", err)
	}
	return nil
}

// notify sends a notification. One that was sent in vain by a connection that had
// been open before is sent again by a new one.
func (w *WakeUp) notify(ctx context.Context, payload string) error {
	return w.use(ctx, func(c *notifying, channel string) error {
		return c.exec("NOTIFY " + pq.QuoteIdentifier(channel) + ", " + pq.QuoteLiteral(payload))
	})
}

// use has do use the connection that notifies.
func (w *WakeUp) use(ctx context.Context, do func(c *notifying, channel string) error) error {
	select {
	case <-w.turn:
		defer func() { w.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for fresh := false; ; {
		if w.life.Err() != nil {
			return errClosed
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.conn == nil {
			c, err := w.connect(ctx)
			if err != nil {
				return err
			}
			w.conn, fresh = c, true
		}
		channel, err := w.channelOf(ctx, w.conn)
		if err == nil {
			err = w.conn.within(ctx, func() error { return do(w.conn, channel) })
		}
		if err == nil {
			return nil
		}
		w.conn.close()
		w.conn = nil
		if fresh {
			return err
		}
	}
}

// channelExpr is the name of the channel. PostgreSQL takes no longer ones.
const channelExpr = "left('entsignal:' || current_database() || '.' || coalesce(current_schema(), ''), 63)"

// channelOf returns the name of the channel, which the server knows.
func (w *WakeUp) channelOf(ctx context.Context, c *notifying) (string, error) {
	w.mu.Lock()
	channel := w.channel
	w.mu.Unlock()
	if channel != "" {
		return channel, nil
	}
	err := c.within(ctx, func() (err error) {
		channel, err = c.text("SELECT " + channelExpr)
		return err
	})
	if err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.channel = channel
	return channel, nil
}

// notifying is the connection by which a wake-up notifies.
type notifying struct {
	driver.Conn
	raw net.Conn
}

// connect opens a connection within ctx.
func (w *WakeUp) connect(ctx context.Context) (*notifying, error) {
	d := &dying{dialer: dialer{timeout: w.cfg.timeout}, life: w.life, connectTimeout: w.cfg.connectTimeout}
	connector, err := newConnector(w.dsn, w.cfg, d)
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &notifying{Conn: conn, raw: d.last()}, nil
}

// within runs do, which uses the connection. The end of ctx closes that: lib/pq's
// own way is to ask the server, which may not answer.
func (c *notifying) within(ctx context.Context, do func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.raw.Close() })
	err := do()
	if !stop() && err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

func (c *notifying) exec(statement string) error {
	_, err := c.Conn.(driver.ExecerContext).ExecContext(context.Background(), statement, nil) //nolint:errcheck,forcetypeassert // a connection of ours
	return err
}

// text returns the one text that a query returns.
func (c *notifying) text(query string) (string, error) {
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(context.Background(), query, nil) //nolint:errcheck,forcetypeassert // a connection of ours
	if err != nil {
		return "", err
	}
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err != nil && !errors.Is(err, io.EOF) {
		return "", errors.Join(err, rows.Close())
	}
	switch v := row[0].(type) {
	case string:
		return v, rows.Close()
	case []byte:
		return string(v), rows.Close()
	default:
		return "", errors.Join(fmt.Errorf("the server returned a %T for the name of the channel; expected a text", v), rows.Close())
	}
}

// close closes the connection without a word that nobody may hear.
func (c *notifying) close() {
	_ = c.raw.SetDeadline(time.Now().Add(100 * time.Millisecond))
	_ = c.Conn.Close()
	_ = c.raw.Close()
}

// proofPrefix begins the payload of a notification by which a wake-up proves that
// it works. No name of a signal begins so.
const proofPrefix = "?"

// proofAgain is how long after a proof that didn't come another one is sent.
const proofAgain = 250 * time.Millisecond

// Prove implements entsignal's Prover: it notifies itself until that comes back, or
// ctx ends. Listen must run meanwhile.
func (w *WakeUp) Prove(ctx context.Context) error {
	token, came := strconv.FormatUint(rand.Uint64(), 36), make(chan struct{}, 1)
	w.mu.Lock()
	w.tokens[token] = came
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.tokens, token)
	}()
	for {
		err := w.notify(ctx, proofPrefix+token)
		timer := time.NewTimer(proofAgain)
		select {
		case <-came:
			timer.Stop()
			return nil
		case <-timer.C:
			if ctx.Err() == nil {
				continue
			}
		case <-ctx.Done():
			timer.Stop()
		}
		w.mu.Lock()
		lastFail := w.lastFail
		w.mu.Unlock()
		switch {
		case err != nil:
			return fmt.Errorf("pqconn: notify: %w", err)
		case lastFail != nil:
			return fmt.Errorf("pqconn: listen: %w", lastFail)
		default:
			return errors.New("pqconn: a notification of this process to itself does not arrive; " +
				"a pooler that gives out its connections for one transaction each, as PgBouncer does, delivers none: give NewWakeUp an address of PostgreSQL itself")
		}
	}
}

// proves takes a payload, and reports whether it is a proof, of this process or of
// another one.
func (w *WakeUp) proves(payload string) bool {
	token, ok := strings.CutPrefix(payload, proofPrefix)
	if !ok {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if came := w.tokens[token]; came != nil {
		select {
		case came <- struct{}{}:
		default:
		}
	}
	return true
}
