// Package faults breaks a RabbitMQ and a PostgreSQL of its own, through the
// bus: alarms, lost connections, missing permissions, certificates that can't
// be trusted.
package faults

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/internal/server"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

// own are the servers of this package, which all of its tests share. Tests
// that break the broker break it for all, so none of them runs beside another.
var own *server.Servers

// authority has issued their certificate.
var authority *server.Authority

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	var err error
	own, err = server.Start(func(dir string) (err error) {
		if authority, err = server.NewAuthority(filepath.Join(dir, "authority.pem")); err != nil {
			return err
		}
		return authority.Issue(dir, "localhost", time.Now().Add(time.Hour))
	})
	defer func() {
		if err := own.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

const (
	flushTimeout = 6 * time.Second
	brokerAnswer = 2 * time.Second // the time that the publisher gives the broker
)

// relay is a shop whose signals go to the own broker.
type relay struct {
	*ent.Client
	bus      *entsignal.Bus
	log      *logs
	errors   chan error // of autoflushes
	exchange string
	queue    string
	message  func(number int, m *rabbitmq.Message)
	joined   func(context.Context, []*ent.UserJoined) error // the sender of UserJoined
}

// newRelay returns a relay between a database and the broker at a URL.
func newRelay(t *testing.T, db *testdb.DB, url string) *relay {
	t.Helper()
	return newRelayOn(t, db.Driver(t), url)
}

func newRelayOn(t *testing.T, driver dialect.Driver, url string, opts ...entsignal.BusOption) *relay {
	t.Helper()
	r := &relay{log: &logs{}, errors: make(chan error, 100), exchange: "shop-" + uuid.NewString(), queue: "shop-" + uuid.NewString()}
	r.message = func(int, *rabbitmq.Message) {}
	r.joined = func(context.Context, []*ent.UserJoined) error { return nil }
	ch := admin(t)
	require.NoError(t, ch.ExchangeDeclare(r.exchange, "direct", true, false, false, false, nil))
	_, err := ch.QueueDeclare(r.queue, true, false, false, false, nil)
	require.NoError(t, err)
	require.NoError(t, ch.QueueBind(r.queue, "k", r.exchange, false, nil))

	pub, err := rabbitmq.NewPublisher(url, rabbitmq.WithLogger(r.log.Logger()), rabbitmq.WithConfirmTimeout(brokerAnswer), rabbitmq.WithDialTimeout(brokerAnswer))
	require.NoError(t, err)
	encode := func(signal string, number int) (rabbitmq.Message, error) {
		m := rabbitmq.Message{Exchange: r.exchange, RoutingKey: "k", Body: fmt.Append(nil, signal, " ", number)}
		r.message(number, &m)
		return m, nil
	}
	r.bus, err = ent.NewSignalBus(ent.SignalSenders{
		AuditLogged: rabbitmq.Sender(pub, func(a *ent.AuditLogged) (rabbitmq.Message, error) { return encode("audit", a.Number) }),
		OrderPlaced: rabbitmq.Sender(pub, func(o *ent.OrderPlaced) (rabbitmq.Message, error) { return encode("order", o.Number) }),
		UserJoined:  func(ctx context.Context, users []*ent.UserJoined) error { return r.joined(ctx, users) },
	}, append(opts, entsignal.WithMissingSenders(), entsignal.WithLogger(r.log.Logger()), entsignal.WithFlushTimeout(flushTimeout),
		entsignal.WithErrorHandler(func(_ context.Context, err error) { r.errors <- err }))...)
	require.NoError(t, err)
	r.Client = ent.NewClient(ent.Driver(driver), ent.WithSignalBus(r.bus))
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		assert.NoError(t, r.bus.Close(c))
		assert.NoError(t, pub.Close(c))
	})
	return r
}

// newDatabase returns a database with the tables of the shop.
func newDatabase(t *testing.T) *testdb.DB {
	t.Helper()
	db := testdb.New(t, testdb.PostgreSQL)
	client := ent.NewClient(ent.Driver(db.Driver(t)))
	db.CreateTables(t, func(w io.Writer) error { return client.Schema.WriteTo(ctx(t), w) })
	return db
}

// admin returns a channel of the broker's administrator.
func admin(t *testing.T) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(own.AMQP)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	return ch
}

// ctl runs rabbitmqctl.
func ctl(t *testing.T, args ...string) {
	t.Helper()
	_, err := own.RabbitMQCtl(args...)
	require.NoError(t, err)
}

// audit records pending signals with the numbers from first to last.
func (r *relay) audit(t *testing.T, first, last int) {
	t.Helper()
	tx, err := r.Tx(ctx(t))
	require.NoError(t, err)
	tx.AuditLogged.MapCreateBulk(make([]struct{}, last-first+1), func(c *ent.AuditLoggedCreate, i int) {
		c.SetNumber(first + i)
	}).ExecX(ctx(t))
	require.NoError(t, tx.Commit())
}

// failures returns the errors of autoflushes since the last call. A commit
// reports its own before it returns.
func (r *relay) failures() (errs []error) {
	for {
		select {
		case err := <-r.errors:
			errs = append(errs, err)
		default:
			return errs
		}
	}
}

// pending returns how many audits wait.
func (r *relay) pending(t *testing.T) int {
	t.Helper()
	return r.AuditLogged.Query().CountX(ctx(t))
}

// received empties the queue, and returns how often each message came.
func (r *relay) received(t *testing.T) map[string]int {
	t.Helper()
	ch := admin(t)
	times := make(map[string]int)
	for {
		d, ok, err := ch.Get(r.queue, true)
		require.NoError(t, err)
		if !ok {
			return times
		}
		times[string(d.Body)]++
	}
}

// assertReceived asserts that each audit with a number from 1 to n arrived,
// and no more than so many repeats.
func (r *relay) assertReceived(t *testing.T, n, repeats int, others ...string) {
	t.Helper()
	times := r.received(t)
	want := others
	for i := range n {
		want = append(want, "audit "+strconv.Itoa(i+1))
	}
	for _, body := range want {
		assert.Positive(t, times[body], "%s is lost", body)
		repeats -= max(0, times[body]-1)
		delete(times, body)
	}
	assert.Empty(t, times, "messages that nobody committed")
	assert.GreaterOrEqual(t, repeats, 0, "repeated more than the fault explains")
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}

// logs is the log of a relay.
type logs struct{ testlog.Log }

// await waits until the log says so.
func (l *logs) await(t *testing.T, s string) {
	t.Helper()
	require.Eventually(t, func() bool { return l.Count(s) > 0 }, 2*time.Minute, 5*time.Millisecond, "the log doesn't say %q:\n%s", s, l)
}
