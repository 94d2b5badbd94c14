package testkit

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestAssertionsSeeWhatWasSent(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		entsignaltest.None[*ent.OrderPlaced](s.outbox)
		assert.Empty(t, entsignaltest.Sent[*ent.OrderPlaced](s.outbox))
		s.order(t, 1)
		assert.Equal(t, "Ada", entsignaltest.One[*ent.OrderPlaced](s.outbox).Customer)
		entsignaltest.None[*ent.UserJoined](s.outbox)
		s.order(t, 2, 3)
		assert.Equal(t, []int{1, 2, 3}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		assert.Equal(t, 2, entsignaltest.One(s.outbox, is(2)).Number)
		entsignaltest.None(s.outbox, is(4))
		assert.Len(t, entsignaltest.Eventually[*ent.OrderPlaced](s.outbox, 3), 3)

		batches := entsignaltest.Batches[*ent.OrderPlaced](s.outbox)
		require.Len(t, batches, 3)
		assert.Equal(t, entsignal.ModeAutoFlush, batches[1].Mode)
		assert.Equal(t, "OrderPlaced", batches[1].Signal.Name)
		require.Len(t, batches[1].Signals, 1)
		assert.Equal(t, []entsignal.Item{{ID: strconv.Itoa(batches[1].Signals[0].ID)}}, batches[1].Items)

		s.outbox.Reset()
		entsignaltest.None[*ent.OrderPlaced](s.outbox)
	})
}

func TestRolledBackSignalIsNotSent(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		tx, err := s.Tx(ctx(t))
		require.NoError(t, err)
		tx.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t))
		require.NoError(t, tx.Rollback())
		entsignaltest.None[*ent.OrderPlaced](s.outbox)
		require.NoError(t, s.outbox.Drain(ctx(t)))
		entsignaltest.None[*ent.OrderPlaced](s.outbox)
	})
}

func TestEventuallyWaitsForWhatIsSentBehindTheCommit(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, entsignal.WithAsync(100))
		release := entsignaltest.Hang[*ent.OrderPlaced](s.outbox)
		s.order(t, 1, 2)
		entsignaltest.EventuallyStruck[*ent.OrderPlaced](s.outbox, 1)
		entsignaltest.None[*ent.OrderPlaced](s.outbox)
		release()
		assert.ElementsMatch(t, []int{1, 2}, numbers(entsignaltest.Eventually[*ent.OrderPlaced](s.outbox, 2)))
	})
}

func TestFailedAssertionsShowWhatWasSentInstead(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		text := failure(t, func(t testing.TB) { entsignaltest.One[*ent.OrderPlaced](s.outbox.For(t)) })
		assert.Equal(t, `entsignaltest: expected exactly one *ent.OrderPlaced; none was sent.
Sent, in order: nothing.
Pending: nothing. A signal that is neither sent nor pending was not recorded, or its transaction was not committed.`, text)

		s.order(t, 7)
		s.UserJoined.Create().SetNumber(8).SetEmail("ada@example.com").ExecX(ctx(t))
		text = failure(t, func(t testing.TB) { entsignaltest.One[*ent.TicketOpened](s.outbox.For(t)) })
		id := entsignaltest.One[*ent.UserJoined](s.outbox).ID.String()
		assert.Equal(t, `entsignaltest: expected exactly one *ent.TicketOpened; none was sent.
Sent, in order:
  1. OrderPlaced(id=1, number=7, customer=Ada), by autoflush
  2. UserJoined(id=`+id+`, number=8, email=ada@example.com), by autoflush
Pending: nothing. A signal that is neither sent nor pending was not recorded, or its transaction was not committed.`, text)

		text = failure(t, func(t testing.TB) { entsignaltest.None[*ent.OrderPlaced](s.outbox.For(t)) })
		assert.Contains(t, text, "expected no *ent.OrderPlaced; one was sent.\nSent, in order:\n  1. OrderPlaced(id=1, number=7, customer=Ada), by autoflush\n")
		s.order(t, 8)
		text = failure(t, func(t testing.TB) { entsignaltest.One[*ent.OrderPlaced](s.outbox.For(t)) })
		assert.Contains(t, text, "expected exactly one *ent.OrderPlaced; 2 were sent.\n")
		text = failure(t, func(t testing.TB) { entsignaltest.One(s.outbox.For(t), is(9)) })
		assert.Contains(t, text, "expected exactly one *ent.OrderPlaced that matches; none was sent.\n")
		text = failure(t, func(t testing.TB) { entsignaltest.None(s.outbox.For(t), is(8)) })
		assert.Contains(t, text, "expected no *ent.OrderPlaced that matches; one was sent.\n")
	})
}

func TestFailedAssertionsShowWhatIsPendingAndWhatFailed(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.AuditLogged.Create().SetNumber(1).ExecX(ctx(t)) // its autoflush is off
		text := failure(t, func(t testing.TB) { entsignaltest.One[*ent.AuditLogged](s.outbox.For(t)) })
		assert.Contains(t, text, "Pending: AuditLogged 1. outbox.Drain(ctx) sends the pending signals.")
		text = failure(t, func(t testing.TB) { entsignaltest.One[*ent.OrderPlaced](s.outbox.For(t)) })
		assert.Contains(t, text, "Pending: AuditLogged 1; no OrderPlaced.")

		entsignaltest.FailNth[*ent.OrderPlaced](s.outbox, 1, errRefused)
		s.order(t, 5)
		text = failure(t, func(t testing.TB) { entsignaltest.One[*ent.OrderPlaced](s.outbox.For(t)) })
		assert.Contains(t, text, "Not sent:\n  OrderPlaced(id=1, number=5, customer=Ada): refused\nPending: AuditLogged 1; OrderPlaced 1.")
	})
}

func TestLongFailureTextsAreCut(t *testing.T) {
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	many := make([]*ent.OrderPlaced, 60)
	for i := range many {
		many[i] = &ent.OrderPlaced{Number: i, Customer: strings.Repeat("ü", 2000)}
	}
	require.NoError(t, senders.OrderPlaced(t.Context(), many))
	text := failure(t, func(t testing.TB) { entsignaltest.None[*ent.OrderPlaced](outbox.For(t)) })
	assert.Contains(t, text, "60 were sent.")
	assert.Contains(t, text, "\n  ... and 10 more\n")
	assert.Less(t, len(text), 60_000)
	assert.Contains(t, text, "The pending signals are unknown: make the bus with ent.NewSignalBus(senders, outbox.Option()).")
}

func TestEventuallyFailsWhenItsTimeIsOver(t *testing.T) {
	_, outbox := entsignaltest.Senders[ent.SignalSenders](t, entsignaltest.Timeout(1))
	text := failure(t, func(t testing.TB) { entsignaltest.Eventually[*ent.OrderPlaced](outbox.For(t), 2) })
	assert.Contains(t, text, "expected 2 *ent.OrderPlaced within 1ns; none was sent.\nSent, in order: nothing.")
	text = failure(t, func(t testing.TB) { entsignaltest.EventuallyStruck[*ent.OrderPlaced](outbox.For(t), 1) })
	assert.Contains(t, text, "expected faults to strike the sender of *ent.OrderPlaced 1 times within 1ns; they struck never")
}

func TestMisuseOfTheKitFailsTheTest(t *testing.T) {
	_, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	for want, misuse := range map[string]func(o *entsignaltest.Outbox){
		"*ent.Order is not a signal of ent.SignalSenders, which has: *ent.AuditLogged, *ent.BadgeGiven, ": func(o *entsignaltest.Outbox) { entsignaltest.One[*ent.Order](o) },
		"ent.OrderPlaced is not a signal of ent.SignalSenders":                                            func(o *entsignaltest.Outbox) { entsignaltest.Sent[ent.OrderPlaced](o) },
		"Drain: the outbox knows no bus; make the bus with ent.NewSignalBus(senders, outbox.Option())":    func(o *entsignaltest.Outbox) { _ = o.Drain(ctx(t)) },
		"FailWhere: the function is nil":                                                                  func(o *entsignaltest.Outbox) { entsignaltest.FailWhere[*ent.OrderPlaced](o, nil) },
		"Intercept: the function is nil":                                                                  func(o *entsignaltest.Outbox) { entsignaltest.Intercept[*ent.OrderPlaced](o, nil) },
		"FailNth: signal 0 and error refused; expected a number of 1 or more and an error": func(o *entsignaltest.Outbox) {
			entsignaltest.FailNth[*ent.OrderPlaced](o, 0, errRefused)
		},
		"LoseConfirm: 0 signals; expected 1 or more": func(o *entsignaltest.Outbox) { entsignaltest.LoseConfirm[*ent.OrderPlaced](o, 0) },
	} {
		assert.Contains(t, failure(t, func(t testing.TB) { misuse(outbox.For(t)) }), want)
	}
	assert.Contains(t, failure(t, func(t testing.TB) { entsignaltest.Senders[ent.Order](t) }),
		"Senders: ent.Order has no field of type entsignal.Sender; expected the generated SignalSenders, as in Senders[ent.SignalSenders](t)")
	assert.Contains(t, failure(t, func(t testing.TB) { entsignaltest.Senders[int](t) }), "int has no field")
}

func TestEdgesAreLoadedAsTheTestSays(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
		assert.Nil(t, senders.ShipmentDueWith)
		senders.ShipmentDueWith = func(q *ent.ShipmentDueQuery) { q.WithOrder() }
		bus, err := ent.NewSignalBus(senders, outbox.Option())
		require.NoError(t, err)
		client := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
		createTables(t, db, client)
		order := client.Order.Create().SetCustomer("Ada").SaveX(ctx(t))
		client.ShipmentDue.Create().SetCustomer("Ada").SetNumber(1).SetOrder(order).ExecX(ctx(t))
		require.NoError(t, outbox.Drain(ctx(t)))
		assert.Equal(t, "Ada", entsignaltest.One[*ent.ShipmentDue](outbox).Edges.Order.Customer)
	})
}

// One outbox and one database for all of them.
func TestParallelSubtestsShareAnOutbox(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		for i := range 10 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				outbox := s.outbox.For(t)
				s.order(t, i)
				require.NoError(t, outbox.Drain(ctx(t)))
				assert.Equal(t, i, entsignaltest.One(outbox, is(i)).Number)
				entsignaltest.None(outbox, is(i+100))
			})
		}
	})
}
