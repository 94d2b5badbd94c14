// Package relay tests Bus.Run, and what wakes it, on real databases.
package relay

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// process is a process of the shop: a client, its bus, and senders that record.
type process struct {
	*ent.Client
	bus *entsignal.Bus
	db  *testdb.DB
	log testlog.Log

	orders    *recorder.Recorder[*ent.OrderPlaced, int]
	users     *recorder.Recorder[*ent.UserJoined, int]
	audits    *recorder.Recorder[*ent.AuditLogged, int]
	shipments *recorder.Recorder[*ent.ShipmentDue, int]
}

// start opens a process on the database.
func start(t testing.TB, db *testdb.DB, opts ...entsignal.BusOption) *process {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t, entsignaltest.Timeout(time.Minute))
	p := &process{
		db:        db,
		orders:    recorder.New(outbox, func(s *ent.OrderPlaced) int { return s.Number }),
		users:     recorder.New(outbox, func(s *ent.UserJoined) int { return s.Number }),
		audits:    recorder.New(outbox, func(s *ent.AuditLogged) int { return s.Number }),
		shipments: recorder.New(outbox, func(s *ent.ShipmentDue) int { return s.Number }),
	}
	var err error
	p.bus, err = ent.NewSignalBus(ent.SignalSenders{
		OrderPlaced: senders.OrderPlaced,
		UserJoined:  senders.UserJoined,
		AuditLogged: senders.AuditLogged,
		ShipmentDue: senders.ShipmentDue,
	}, append([]entsignal.BusOption{entsignal.WithMissingSenders(), entsignal.WithLogger(p.log.Logger())}, opts...)...)
	require.NoError(t, err)
	p.Client = ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(p.bus))
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		assert.NoError(t, p.bus.Close(c))
		if t.Failed() {
			t.Logf("the log:\n%s", &p.log)
		}
	})
	return p
}

// first is [start] on a database without tables.
func first(t testing.TB, db *testdb.DB, opts ...entsignal.BusOption) *process {
	t.Helper()
	p := start(t, db, opts...)
	db.CreateTables(t, func(w io.Writer) error { return p.Schema.WriteTo(ctx(t), w) })
	return p
}

// run runs the relay of the process until the test ends, or end is called, which
// returns what Run has returned.
func (p *process) run(t testing.TB, opts ...entsignal.FlushOption) (end func() error) {
	t.Helper()
	c, cancel := context.WithCancel(context.Background())
	returned := make(chan error, 1)
	go func() { returned <- p.bus.Run(c, opts...) }()
	ended := false
	end = func() error {
		cancel()
		ended = true
		select {
		case err := <-returned:
			return err
		case <-time.After(30 * time.Second):
			t.Fatal("Run doesn't end")
			return nil
		}
	}
	t.Cleanup(func() {
		if !ended {
			assert.NoError(t, end())
		}
		cancel()
	})
	return end
}

// rests waits until each loop has made a pass.
func (p *process) rests(t testing.TB) {
	t.Helper()
	require.Eventually(t, func() bool {
		loops := p.bus.RunState().Loops
		for _, l := range loops {
			if l.Passes == 0 {
				return false
			}
		}
		return len(loops) > 0
	}, 30*time.Second, time.Millisecond)
}

// pending returns how many signals of the type wait.
func (p *process) pending(t testing.TB, name string) int {
	t.Helper()
	counts, err := p.bus.Pending(ctx(t), entsignal.Only(name))
	require.NoError(t, err)
	return counts[0].Count
}

// inTx runs f in a transaction and commits it.
func (p *process) inTx(t testing.TB, f func(tx *ent.Tx)) {
	t.Helper()
	tx, err := p.Tx(ctx(t))
	require.NoError(t, err)
	f(tx)
	require.NoError(t, tx.Commit())
}

// audit records n signals in one transaction, numbered from 1.
func (p *process) audit(t testing.TB, n int) {
	t.Helper()
	p.inTx(t, func(tx *ent.Tx) {
		tx.AuditLogged.MapCreateBulk(make([]struct{}, n), func(c *ent.AuditLoggedCreate, i int) { c.SetNumber(i + 1) }).ExecX(ctx(t))
	})
}

// modes returns by which flushes batches were sent.
func modes[T any](r *recorder.Recorder[T, int]) map[string]bool {
	all := make(map[string]bool)
	for _, b := range r.Batches() {
		all[b.Mode.String()] = true
	}
	return all
}

// numbers returns the numbers from 1 to n.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return c
}

// never is a poll that no test lives to see.
var never = entsignal.Poll(time.Hour)
