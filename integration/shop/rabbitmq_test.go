package shop_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/faultproxy"
)

// withBroker are the databases that the tests with a broker run on.
var withBroker = []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}

// relay is a shop that sends its audits to RabbitMQ.
type relay struct {
	*shop
	proxy    *faultproxy.Proxy
	exchange string
	queue    string
	ch       *amqp.Channel
	message  func(a *ent.AuditLogged, m *rabbitmq.Message) error
}

func newRelay(t *testing.T, db *testdb.DB, args amqp.Table) *relay {
	t.Helper()
	url := testdb.Env(t, "ENTSIGNAL_TEST_AMQP")
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	r := &relay{shop: newShop(t), exchange: "shop-" + uuid.NewString(), queue: "shop-" + uuid.NewString()}
	r.ch, err = conn.Channel()
	require.NoError(t, err)
	require.NoError(t, r.ch.ExchangeDeclare(r.exchange, "direct", false, true, false, false, nil))
	_, err = r.ch.QueueDeclare(r.queue, false, false, true, false, args)
	require.NoError(t, err)
	require.NoError(t, r.ch.QueueBind(r.queue, "audit", r.exchange, false, nil))

	var through string
	r.proxy, through = faultproxy.ForURL(t, url, "5672")
	pub, err := rabbitmq.NewPublisher(through, rabbitmq.WithAppID("shop"), rabbitmq.WithConfirmTimeout(2*time.Second))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pub.Close(ctx(t))) })
	r.message = func(*ent.AuditLogged, *rabbitmq.Message) error { return nil }
	r.senders.AuditLogged = rabbitmq.Sender(pub, func(a *ent.AuditLogged) (rabbitmq.Message, error) {
		m := rabbitmq.Message{Exchange: r.exchange, RoutingKey: "audit", Body: fmt.Append(nil, a.Number)}
		return m, r.message(a, &m)
	})
	r.open(t, db)
	r.createTables(t)
	return r
}

// received returns the bodies of the n messages that must be in the queue.
func (r *relay) received(t *testing.T) (bodies []string) {
	t.Helper()
	for {
		d, ok, err := r.ch.Get(r.queue, true)
		require.NoError(t, err)
		if !ok {
			return bodies
		}
		bodies = append(bodies, string(d.Body))
	}
}

func TestPublishedMessageIsIdentifiedByItsSignal(t *testing.T) {
	t.Parallel()
	testdb.On(t, withBroker, func(t *testing.T, db *testdb.DB) {
		r := newRelay(t, db, nil)
		r.audit(t, 1)
		id := r.AuditLogged.Query().OnlyIDX(ctx(t))
		n, err := r.AuditLogged.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		d, ok, err := r.ch.Get(r.queue, true)
		require.NoError(t, err)
		require.True(t, ok)
		assert.Equal(t, fmt.Sprintf("AuditLogged:%d", id), d.MessageId)
		assert.Equal(t, "shop", d.AppId)
		assert.Equal(t, amqp.Persistent, d.DeliveryMode)
	})
}

// Each fault strikes the fourth of six signals in one batch.
func TestBadMessageStaysAndTheHealthyOnesLeaveOnce(t *testing.T) {
	t.Parallel()
	faults := map[string]struct {
		spoil func(r *relay, m *rabbitmq.Message)
		says  string
	}{
		"missing exchange":     {func(_ *relay, m *rabbitmq.Message) { m.Exchange = "nowhere" }, "nowhere"},
		"unroutable":           {func(_ *relay, m *rabbitmq.Message) { m.RoutingKey = "nobody" }, "NO_ROUTE"},
		"routing key too long": {func(_ *relay, m *rabbitmq.Message) { m.RoutingKey = strings.Repeat("k", 300) }, "RoutingKey"},
		"unsupported header":   {func(_ *relay, m *rabbitmq.Message) { m.Headers = map[string]any{"x": struct{}{}} }, "header"},
		"body too large":       {func(_ *relay, m *rabbitmq.Message) { m.Body = make([]byte, 17<<20) }, "Body"},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, withBroker, func(t *testing.T, db *testdb.DB) {
				r := newRelay(t, db, nil)
				r.audit(t, 6)
				r.message = func(a *ent.AuditLogged, m *rabbitmq.Message) error {
					if a.Number == 4 {
						fault.spoil(r, m)
					}
					return nil
				}
				n, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(6))
				require.ErrorContains(t, err, "signal AuditLogged")
				require.ErrorContains(t, err, fault.says)
				assert.Equal(t, 5, n)
				assert.ElementsMatch(t, []string{"1", "2", "3", "5", "6"}, r.received(t))
				assert.Equal(t, 4, r.AuditLogged.Query().OnlyX(ctx(t)).Number)

				r.message = func(*ent.AuditLogged, *rabbitmq.Message) error { return nil }
				n, err = r.AuditLogged.FlushMany(ctx(t))
				require.NoError(t, err, "mended")
				assert.Equal(t, 1, n)
			})
		})
	}
}

func TestSignalThatCannotBeEncodedStaysAlone(t *testing.T) {
	t.Parallel()
	testdb.On(t, withBroker, func(t *testing.T, db *testdb.DB) {
		r := newRelay(t, db, nil)
		r.audit(t, 3)
		bad := errors.New("no such customer")
		r.message = func(a *ent.AuditLogged, _ *rabbitmq.Message) error {
			if a.Number == 2 {
				return entsignal.Permanent(bad)
			}
			return nil
		}
		n, err := r.AuditLogged.Flush(ctx(t), entsignal.Wait(0), entsignal.Burst(10))
		require.ErrorIs(t, err, bad)
		assert.True(t, entsignal.IsPermanent(err))
		assert.Equal(t, 2, n)
		assert.Equal(t, []string{"1", "3"}, r.received(t))
	})
}

func TestRefusedMessagesStay(t *testing.T) {
	t.Parallel()
	testdb.On(t, withBroker, func(t *testing.T, db *testdb.DB) {
		r := newRelay(t, db, amqp.Table{"x-max-length": 2, "x-overflow": "reject-publish"})
		r.audit(t, 5)
		n, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(5))
		require.ErrorContains(t, err, "nack")
		sent := len(r.received(t))
		assert.Equal(t, sent, n)
		assert.Equal(t, 5-sent, r.pending(t, "AuditLogged"))
		for left := 5 - sent; left > 0; left = r.pending(t, "AuditLogged") {
			_, _ = r.AuditLogged.FlushMany(ctx(t))
			r.received(t)
		}
	})
}

// The broker refuses a message as a whole, and says nothing of the queues that
// have taken it.
func TestMessageThatOneOfTwoQueuesRefusesStaysAndRepeatsInTheOther(t *testing.T) {
	t.Parallel()
	testdb.On(t, withBroker, func(t *testing.T, db *testdb.DB) {
		r := newRelay(t, db, nil)
		full := "shop-" + uuid.NewString()
		_, err := r.ch.QueueDeclare(full, false, false, true, false, amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
		require.NoError(t, err)
		require.NoError(t, r.ch.QueueBind(full, "audit", r.exchange, false, nil))
		r.audit(t, 2)
		n, err := r.AuditLogged.FlushMany(ctx(t))
		require.ErrorContains(t, err, "nack")
		assert.Equal(t, 1, n)
		assert.Equal(t, 1, r.pending(t, "AuditLogged"))
		assert.Equal(t, []string{"1", "2"}, r.received(t))
		_, err = r.ch.QueuePurge(full, false)
		require.NoError(t, err)
		n, err = r.AuditLogged.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, []string{"2"}, r.received(t), "a repeat here, the first one there")
	})
}

func TestConnectionCutInTheMiddleOfABatchLosesNothing(t *testing.T) {
	t.Parallel()
	testdb.On(t, withBroker, func(t *testing.T, db *testdb.DB) {
		r := newRelay(t, db, nil)
		const rows = 500
		r.audit(t, rows)
		_, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(1))
		require.NoError(t, err)
		require.Len(t, r.received(t), rows)

		r.audit(t, rows)
		r.proxy.SwallowDown.Store(true) // the broker gets the messages, the confirms get lost
		cut := make(chan struct{})
		go func() {
			defer close(cut)
			for stored := 0; stored < rows; {
				q, err := r.ch.QueueDeclarePassive(r.queue, false, false, true, false, nil)
				if !assert.NoError(t, err) {
					return
				}
				stored = q.Messages
			}
			r.proxy.Cut()
			r.proxy.SwallowDown.Store(false)
		}()
		n, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(rows))
		<-cut
		require.Error(t, err)
		assert.True(t, entsignal.IsUnavailable(err))
		assert.Equal(t, rows-n, r.pending(t, "AuditLogged"))

		_, err = r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(rows))
		require.NoError(t, err)
		assert.Zero(t, r.pending(t, "AuditLogged"))
		times := make(map[string]int)
		for _, body := range r.received(t) {
			times[body]++
			assert.LessOrEqual(t, times[body], 2, "repeated by more than the one fault")
		}
		assert.Len(t, times, rows, "lost")
	})
}

func TestCommitHookOnADeadConnectionEndsWithinTheFlushTimeout(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		const timeout = time.Second
		through, proxy := db.Through(t)
		direct := open(t, db)
		s := newShop(t)
		s.open(t, through, entsignal.WithFlushTimeout(timeout))
		tx, err := s.Tx(ctx(t))
		require.NoError(t, err)
		order(tx.OrderPlaced, 1).SaveX(ctx(t))
		tx.OnCommit(func(next ent.Committer) ent.Committer {
			return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
				defer proxy.BlackHole(true) // after the commit, before the autoflush
				return next.Commit(ctx, tx)
			})
		})
		within(t, hang, func() { assert.NoError(t, tx.Commit()) })
		assert.Len(t, s.errors.all(), 1)
		proxy.Cut()
		proxy.BlackHole(false)
		require.NoError(t, s.bus.Close(ctx(t)), "a claim is left")
		assert.Empty(t, s.orders.Keys())
		n, err := direct.bus.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}
