// Package tracing has tests of what is stored of the trace of a signal, and of where
// that appears again.
package tracing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalmetrics"
	"github.com/entsignal/signalbus/integration/internal/promtest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/tracing/ent"
	"github.com/entsignal/signalbus/integration/tracing/ent/orderplaced"
	"github.com/entsignal/signalbus/internal/testlog"
)

type numberKey struct{}

// withTrace returns a context whose trace has that number.
func withTrace(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, numberKey{}, n)
}

// traceOf returns the trace with a number.
func traceOf(n int) entsignal.TraceContext {
	return entsignal.TraceContext{
		Traceparent: fmt.Sprintf("00-%032x-%016x-01", n, n),
		Tracestate:  fmt.Sprintf("test=%d", n),
	}
}

// numbered is a tracer that takes the number of the trace from the context.
type numbered struct {
	asked  atomic.Int64
	ended  chan error
	answer func(ctx context.Context) entsignal.TraceContext // nil: by the number
}

func (n *numbered) Recording(ctx context.Context, signal string) entsignal.TraceContext {
	n.asked.Add(1)
	if n.answer != nil {
		return n.answer(ctx)
	}
	if number, ok := ctx.Value(numberKey{}).(int); ok {
		return traceOf(number)
	}
	return entsignal.TraceContext{}
}

type spanKey struct{}

func (n *numbered) Sending(ctx context.Context, b entsignal.Batch) (context.Context, entsignal.SendSpan) {
	if n.ended == nil {
		return ctx, nil
	}
	return context.WithValue(ctx, spanKey{}, fmt.Sprint(b.Signal.Name, " ", b.Mode, " ", len(b.Items))), &span{n: n}
}

type span struct {
	n  *numbered
	to []entsignal.Destination
}

func (s *span) To(d entsignal.Destination) { s.to = append(s.to, d) }
func (s *span) End(err error) {
	if len(s.to) != 1 || s.to[0].System != "test" {
		err = fmt.Errorf("sent to %v", s.to)
	}
	s.n.ended <- err
}

// traced is a client with a bus whose senders note what they are called with.
type traced struct {
	*ent.Client
	bus    *entsignal.Bus
	db     *testdb.DB
	log    testlog.Log
	items  chan entsignal.Item // of each signal that was sent
	refuse atomic.Pointer[error]
}

func (s *traced) note(ctx context.Context, n int) error {
	if err := s.refuse.Load(); err != nil {
		return *err
	}
	batch, _ := entsignal.BatchFromContext(ctx)
	if len(batch.Items) != n {
		return errors.New("no batch")
	}
	for _, item := range batch.Items {
		s.items <- item
	}
	return nil
}

func open(t testing.TB, db *testdb.DB, opts ...entsignal.BusOption) *traced {
	t.Helper()
	s := &traced{db: db, items: make(chan entsignal.Item, 1000)}
	var err error
	s.bus, err = ent.NewSignalBus(ent.SignalSenders{
		OrderPlaced: func(ctx context.Context, all []*ent.OrderPlaced) error { return s.note(ctx, len(all)) },
		UserJoined:  func(ctx context.Context, all []*ent.UserJoined) error { return s.note(ctx, len(all)) },
		AuditLogged: func(ctx context.Context, all []*ent.AuditLogged) error { return s.note(ctx, len(all)) },
	}, append(opts, entsignal.WithLogger(s.log.Logger()))...)
	require.NoError(t, err)
	s.Client = ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(s.bus), ent.Log(func(...any) {}))
	db.CreateTables(t, func(out io.Writer) error { return s.Schema.WriteTo(t.Context(), out) })
	t.Cleanup(func() { assert.NoError(t, s.bus.Close(context.Background())) })
	return s
}

// take returns what was sent since the last call.
func (s *traced) take() (items []entsignal.Item) {
	for len(s.items) > 0 {
		items = append(items, <-s.items)
	}
	return items
}

// creations are the ways in which ent creates rows, all of the trace 7.
var creations = map[string]func(ctx context.Context, t *testing.T, c *ent.Client){
	"Create": func(ctx context.Context, t *testing.T, c *ent.Client) {
		c.OrderPlaced.Create().SetNumber(1).SaveX(ctx)
	},
	"CreateBulk": func(ctx context.Context, t *testing.T, c *ent.Client) {
		c.OrderPlaced.CreateBulk(c.OrderPlaced.Create().SetNumber(1), c.OrderPlaced.Create().SetNumber(2)).SaveX(ctx)
	},
	"MapCreateBulk": func(ctx context.Context, t *testing.T, c *ent.Client) {
		c.OrderPlaced.MapCreateBulk([]int{1, 2, 3}, func(b *ent.OrderPlacedCreate, i int) { b.SetNumber(i) }).SaveX(ctx)
	},
	"Debug": func(ctx context.Context, t *testing.T, c *ent.Client) {
		c.Debug().OrderPlaced.Create().SetNumber(1).SaveX(ctx)
	},
	"upsert": func(ctx context.Context, t *testing.T, c *ent.Client) {
		c.OrderPlaced.Create().SetNumber(1).OnConflictColumns(orderplaced.FieldNumber).UpdateNewValues().ExecX(ctx)
	},
	"upsert of a bulk": func(ctx context.Context, t *testing.T, c *ent.Client) {
		c.OrderPlaced.CreateBulk(c.OrderPlaced.Create().SetNumber(1), c.OrderPlaced.Create().SetNumber(2)).
			OnConflictColumns(orderplaced.FieldNumber).Ignore().ExecX(ctx)
	},
}

func TestEachWayToCreateStoresTheTimeAndTheTrace(t *testing.T) {
	t.Parallel()
	within := map[string]func(ctx context.Context, t *testing.T, s *traced, create func(context.Context, *ent.Client)){
		"outside of a transaction": func(ctx context.Context, t *testing.T, s *traced, create func(context.Context, *ent.Client)) {
			create(ctx, s.Client)
		},
		"in a transaction": func(ctx context.Context, t *testing.T, s *traced, create func(context.Context, *ent.Client)) {
			tx, err := s.Tx(ctx)
			require.NoError(t, err)
			create(ctx, tx.Client())
			require.NoError(t, tx.Commit())
		},
		"in Atomic": func(ctx context.Context, t *testing.T, s *traced, create func(context.Context, *ent.Client)) {
			require.NoError(t, s.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
				create(ctx, ent.TxFromContext(ctx).Client())
				return nil
			}))
		},
	}
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, entsignal.WithTracer(&numbered{}))
		for where, run := range within {
			for name, create := range creations {
				what := name + " " + where
				began := time.Now().Add(-time.Millisecond)
				run(withTrace(t.Context(), 7), t, s, func(ctx context.Context, c *ent.Client) { create(ctx, t, c) })
				items := s.take()
				require.NotEmpty(t, items, what)
				for _, item := range items {
					assert.Equal(t, traceOf(7), item.Trace, what)
					assert.WithinRange(t, item.RecordedAt, began, time.Now().Add(time.Millisecond), what)
				}
				assert.Zero(t, s.OrderPlaced.Query().CountX(t.Context()), what)
			}
		}
		assert.Zero(t, s.log.Count("level=ERROR"), s.log.String())
	})
}

func TestUpsertThatFindsASignalKeepsItsTrace(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, entsignal.WithTracer(&numbered{}))
		s.bus.SetAutoFlush(false)
		first := s.OrderPlaced.Create().SetNumber(1).SetCustomer("Ada").SaveX(withTrace(t.Context(), 1))
		s.OrderPlaced.Create().SetNumber(1).SetCustomer("Bob").OnConflictColumns(orderplaced.FieldNumber).UpdateNewValues().ExecX(withTrace(t.Context(), 2))
		now := s.OrderPlaced.Query().OnlyX(t.Context())
		assert.Equal(t, "Bob", now.Customer)
		assert.Equal(t, traceOf(1).Traceparent, *now.SignalTraceparent)
		assert.WithinDuration(t, *first.SignalRecordedAt, *now.SignalRecordedAt, 10*time.Microsecond)
	})
}

func TestSignalsWithoutATraceAreSentAsBefore(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		tracer := &numbered{}
		s := open(t, db, entsignal.WithTracer(tracer))
		s.bus.SetAutoFlush(false)
		insert := "INSERT INTO order_placeds (signal_attempts, number, customer) VALUES (0, 1, 'SQL')"
		_, err := db.Open(t).ExecContext(t.Context(), insert)
		require.NoError(t, err)
		_, err = db.Open(t).ExecContext(t.Context(), "INSERT INTO order_placeds (signal_attempts, number, customer, signal_traceparent, signal_tracestate) VALUES (0, 2, 'SQL', 'nonsense', 'a=b')")
		require.NoError(t, err)
		s.OrderPlaced.Create().SetNumber(3).SaveX(t.Context()) // outside of a span
		own := traceOf(9)
		s.OrderPlaced.Create().SetNumber(4).SetSignalTraceparent(own.Traceparent).SaveX(withTrace(t.Context(), 5))
		s.AuditLogged.Create().SetNumber(1).SaveX(withTrace(t.Context(), 5))
		assert.EqualValues(t, 1, tracer.asked.Load(), "not for one that has a trace already, nor for a type that stores none")

		n, err := s.bus.FlushMany(t.Context(), entsignal.Burst(100))
		require.NoError(t, err)
		assert.Equal(t, 5, n)
		items := s.take()
		slices.SortFunc(items, func(a, b entsignal.Item) int { return a.RecordedAt.Compare(b.RecordedAt) })
		var traces []entsignal.TraceContext
		unknown := 0
		for _, item := range items {
			if item.RecordedAt.IsZero() {
				unknown++
			}
			traces = append(traces, item.Trace)
		}
		assert.Equal(t, 3, unknown)
		assert.Equal(t, []entsignal.TraceContext{{}, {}, {}, {}, {Traceparent: own.Traceparent}}, traces)
	})
}

func TestClientWithoutATracerStoresTheTimeOnly(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	s := open(t, db)
	alone := ent.NewClient(ent.Driver(db.Driver(t)))
	row := alone.OrderPlaced.Create().SetNumber(1).SaveX(withTrace(t.Context(), 1))
	assert.WithinDuration(t, time.Now(), *row.SignalRecordedAt, time.Minute)
	assert.Nil(t, row.SignalTraceparent)
	assert.Nil(t, row.SignalTracestate)
	text, err := json.Marshal(row)
	require.NoError(t, err)
	assert.JSONEq(t, fmt.Sprintf(`{"id": %d, "number": 1}`, row.ID), string(text), "the columns of the mixins are hidden")

	n, err := s.OrderPlaced.FlushMany(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.False(t, s.take()[0].RecordedAt.IsZero())
}

func TestTracerThatIsNoGoodHarmsNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(context.Context) entsignal.TraceContext{
		"it panics": func(context.Context) entsignal.TraceContext { panic("ouch") },
		"nonsense":  func(context.Context) entsignal.TraceContext { return entsignal.TraceContext{Traceparent: "00-\x00"} },
		"too long": func(context.Context) entsignal.TraceContext {
			return entsignal.TraceContext{Traceparent: traceOf(1).Traceparent + string(make([]byte, 1<<20))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, testdb.New(t, testdb.PostgreSQL), entsignal.WithTracer(&numbered{answer: answer}))
			for n := range 2 {
				s.OrderPlaced.Create().SetNumber(n).SaveX(t.Context())
			}
			items := s.take()
			require.Len(t, items, 2)
			assert.Zero(t, items[0].Trace)
			panics := 0
			if name == "it panics" {
				panics = 1
			}
			assert.Equal(t, panics, s.log.Count("a tracer has panicked; this is logged once"), s.log.String())
		})
	}
	for text, opt := range map[string]entsignal.BusOption{
		"the tracer is nil":           entsignal.WithTracer(nil),
		"has a tracer already":        entsignal.Options(entsignal.WithTracer(&numbered{}), entsignal.WithTracer(&numbered{})),
		"Options: a nil BusOption":    entsignal.Options(nil),
		"WithObserver: the observer ": entsignal.Options(entsignal.WithObserver(nil)),
	} {
		_, err := ent.NewSignalBus(ent.SignalSenders{}, entsignal.WithMissingSenders(), opt)
		assert.ErrorContains(t, err, text)
	}
}

func TestEachCallOfASenderHasASpan(t *testing.T) {
	t.Parallel()
	tracer := &numbered{ended: make(chan error, 10)}
	spans := make(chan string, 10)
	refused := errors.New("refused")
	bus, err := ent.NewSignalBus(ent.SignalSenders{UserJoined: func(ctx context.Context, all []*ent.UserJoined) error {
		spans <- ctx.Value(spanKey{}).(string)
		entsignal.SendingTo(ctx, entsignal.Destination{System: "test"})
		if len(all) > 1 {
			return refused
		}
		return nil
	}}, entsignal.WithMissingSenders(), entsignal.WithTracer(tracer))
	require.NoError(t, err)
	db := testdb.New(t, testdb.SQLite)
	client := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
	db.CreateTables(t, func(out io.Writer) error { return client.Schema.WriteTo(t.Context(), out) })
	client.UserJoined.MapCreateBulk([]int{1, 2}, func(c *ent.UserJoinedCreate, i int) { c.SetNumber(i) }).ExecX(t.Context())
	n, err := bus.FlushMany(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	for _, want := range []string{"UserJoined flushmany 2", "UserJoined flushmany 1", "UserJoined flushmany 1"} {
		assert.Equal(t, want, <-spans)
	}
	assert.ErrorIs(t, <-tracer.ended, refused)
	assert.NoError(t, <-tracer.ended)
	assert.NoError(t, <-tracer.ended)
	entsignal.SendingTo(t.Context(), entsignal.Destination{}) // outside of a sender
}

// sent notes the events of batches.
type sent struct{ events chan entsignal.Sent }

func (s sent) Observe(_ context.Context, e entsignal.Event) {
	if e, ok := e.(entsignal.Sent); ok {
		s.events <- e
	}
}

func TestLagAndAgeAreThoseSinceTheRecording(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		observed := sent{make(chan entsignal.Sent, 10)}
		s := open(t, db, entsignal.WithObserver(observed))
		s.bus.SetAutoFlush(false)
		hours := func(n int) time.Time { return time.Now().Add(time.Duration(-n) * time.Hour) }
		metrics := signalmetrics.Handler(s.bus)
		s.OrderPlaced.Create().SetNumber(2).SetSignalRecordedAt(hours(2)).SaveX(t.Context())
		s.OrderPlaced.Create().SetNumber(1).SetSignalRecordedAt(hours(1)).SaveX(t.Context())
		s.AuditLogged.Create().SetNumber(1).SaveX(t.Context())
		third := s.UserJoined.Create().SetNumber(3).SetSignalRecordedAt(hours(3)).SaveX(t.Context())
		for i := range 20 {
			s.UserJoined.Create().SetNumber(i).SaveX(t.Context())
		}
		age := func(o entsignal.Oldest) time.Duration { return o.Age(time.Now()).Round(time.Hour) }

		oldest, err := s.bus.Oldest(t.Context())
		require.NoError(t, err)
		require.Len(t, oldest, 3)
		audit, order, user := oldest[0], oldest[1], oldest[2]
		assert.False(t, audit.Exact)
		assert.Zero(t, age(audit))
		assert.True(t, order.Exact)
		assert.Equal(t, 2*time.Hour, age(order))
		assert.True(t, user.Exact)
		assert.Equal(t, 3*time.Hour, age(user))
		assert.Equal(t, third.ID.String(), user.ID, "not the lowest id")
		ages := promtest.Scrape(t, metrics)
		assert.InDelta(t, 2*3600, ages[`entsignal_pending_age_seconds{signal="OrderPlaced"}`], 600)
		assert.InDelta(t, 3*3600, ages[`entsignal_pending_age_seconds{signal="UserJoined"}`], 600)
		assert.Less(t, ages[`entsignal_pending_age_seconds{signal="AuditLogged"}`], 600.0)

		n, err := s.bus.FlushMany(t.Context(), entsignal.Burst(100))
		require.NoError(t, err)
		assert.Equal(t, 24, n)
		var lags []string
		for len(observed.events) > 0 {
			e := <-observed.events
			lags = append(lags, fmt.Sprint(e.Signal, " ", e.Lag.Round(time.Hour)))
		}
		assert.Equal(t, []string{"AuditLogged 0s", "OrderPlaced 2h0m0s", "UserJoined 3h0m0s"}, lags)
		measured := promtest.Scrape(t, metrics)
		assert.Equal(t, promtest.Samples{
			`entsignal_lag_seconds_count{signal="OrderPlaced",mode="flushmany"}`: 1,
			`entsignal_lag_seconds_count{signal="UserJoined",mode="flushmany"}`:  1,
		}, measured.Of("entsignal_lag_seconds_count"))
		assert.InDelta(t, 2*3600, measured[`entsignal_lag_seconds_sum{signal="OrderPlaced",mode="flushmany"}`], 600)

		_, err = db.Open(t).ExecContext(t.Context(), "INSERT INTO order_placeds (signal_attempts, number, customer) VALUES (0, 1, 'SQL')")
		require.NoError(t, err)
		oldest, err = s.bus.Oldest(t.Context(), entsignal.Only("OrderPlaced", "UserJoined"))
		require.NoError(t, err)
		assert.False(t, oldest[0].Exact, "a row without a time")
		assert.NotEmpty(t, oldest[0].ID)
		assert.Equal(t, entsignal.Oldest{Signal: "UserJoined"}, oldest[1])
	})
}

func TestFailedSignalKeepsItsTraceUntilItIsSent(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, entsignal.WithTracer(&numbered{}))
		refused := errors.New("refused")
		s.refuse.Store(&refused)
		row := s.OrderPlaced.Create().SetNumber(1).SaveX(withTrace(t.Context(), 3))
		assert.Equal(t, 1, s.OrderPlaced.GetX(t.Context(), row.ID).SignalAttempts)
		s.refuse.Store(nil)
		n, err := s.bus.Retry(t.Context(), "OrderPlaced", fmt.Sprint(row.ID))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = s.bus.FlushMany(t.Context())
		require.NoError(t, err)
		items := s.take()
		require.Len(t, items, 1)
		assert.Equal(t, traceOf(3), items[0].Trace)
		assert.WithinDuration(t, *row.SignalRecordedAt, items[0].RecordedAt, 10*time.Microsecond)
	})
}
