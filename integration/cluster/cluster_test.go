// Package cluster_test runs the shop on MariaDB servers of its own: the nodes of
// a cluster, and one that logs statements.
package cluster_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/server"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return c
}

// database returns the database shop on a server.
func database(m *server.MariaDB, settings string) *testdb.DB {
	return &testdb.DB{Kind: testdb.MariaDB, DSN: strings.Replace(m.DSN, "/?", "/shop?", 1) + settings}
}

// program is a program that flushes audits.
type program struct {
	*ent.Client
	bus *entsignal.Bus
	log *testlog.Log
	to  *recorder.Recorder[*ent.AuditLogged, int]
}

func open(t testing.TB, db *testdb.DB) *program {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	p := &program{log: &testlog.Log{}, to: recorder.New(outbox, func(s *ent.AuditLogged) int { return s.Number })}
	var err error
	p.bus, err = ent.NewSignalBus(ent.SignalSenders{AuditLogged: senders.AuditLogged}, entsignal.WithMissingSenders(), entsignal.WithLogger(p.log.Logger()))
	require.NoError(t, err)
	p.Client = ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(p.bus))
	t.Cleanup(func() { assert.NoError(t, p.bus.Close(ctx(t))) })
	return p
}

// create creates the database and its tables.
func create(t testing.TB, m *server.MariaDB) {
	t.Helper()
	pool := (&testdb.DB{Kind: testdb.MariaDB, DSN: m.DSN}).Open(t)
	_, err := pool.ExecContext(ctx(t), "CREATE DATABASE shop")
	require.NoError(t, err)
	db := database(m, "")
	db.CreateTables(t, func(w io.Writer) error { return open(t, db).Schema.WriteTo(ctx(t), w) })
}

func (p *program) audit(t testing.TB, n int) {
	t.Helper()
	p.AuditLogged.MapCreateBulk(make([]struct{}, n), func(c *ent.AuditLoggedCreate, i int) { c.SetNumber(i + 1) }).ExecX(ctx(t))
}

// A node knows nothing of the row locks of another one.
func TestNodesOfAGaleraClusterFlushAtOneOfThem(t *testing.T) {
	nodes, err := server.StartGalera(ctx(t), 2)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, node := range nodes {
			assert.NoError(t, node.Stop())
		}
	})
	create(t, nodes[0])
	const rows = 300
	// A node waits with a read for what others have committed.
	here, there := database(nodes[0], "&wsrep_sync_wait=1"), database(nodes[1], "&wsrep_sync_wait=1")
	writer := open(t, there)

	t.Run("all flushes against one node send each row once", func(t *testing.T) {
		writer.audit(t, rows)
		flushers := []*program{open(t, here), open(t, here), open(t, here)}
		var all sync.WaitGroup
		for _, p := range flushers {
			all.Go(func() {
				for range 3 {
					_, err := p.AuditLogged.FlushMany(ctx(t), entsignal.Burst(10))
					assert.NoError(t, err)
				}
			})
		}
		all.Wait()
		var sent []int
		for _, p := range flushers {
			sent = append(sent, p.to.Keys()...)
			assert.Equal(t, 1, p.log.Count("run all programs that flush or autoflush against the same node"))
			assert.Equal(t, 1, p.log.Count("setting=wsrep_on"))
		}
		slices.Sort(sent)
		assert.Len(t, sent, rows)
		assert.Len(t, slices.Compact(sent), rows)
	})

	t.Run("flushes against two nodes send the same rows, which the log warns of", func(t *testing.T) {
		writer.audit(t, 1)
		a, b := open(t, here), open(t, there)
		var both sync.WaitGroup
		both.Add(2)
		meet := func(context.Context, []*ent.AuditLogged) error { both.Done(); both.Wait(); return nil }
		a.to.Before(meet)
		b.to.Before(meet)
		var all sync.WaitGroup
		errs := make([]error, 2)
		for i, p := range []*program{a, b} {
			all.Go(func() { _, errs[i] = p.AuditLogged.FlushMany(ctx(t)) })
		}
		all.Wait()
		assert.Equal(t, []int{1}, a.to.Keys())
		assert.Equal(t, []int{1}, b.to.Keys())
		if errs[0] == nil {
			errs[0], errs[1] = errs[1], errs[0]
		}
		require.NoError(t, errs[1])
		require.ErrorContains(t, errs[0], "sent, but the deletion failed")
		for _, p := range []*program{a, b} {
			assert.Equal(t, 1, p.log.Count("setting=wsrep_on"))
		}
	})
}

// A transaction that is READ COMMITTED can't be logged as statements.
func TestServerThatLogsStatementsIsRefusedWithTheCure(t *testing.T) {
	m, err := server.StartMariaDB(ctx(t), "--log-bin=binlog", "--binlog-format=STATEMENT")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Stop()) })
	create(t, m)
	db := database(m, "")
	p := open(t, db)
	p.audit(t, 3)
	_, err = p.AuditLogged.FlushMany(ctx(t))
	require.ErrorContains(t, err, "SET GLOBAL binlog_format = 'MIXED'")
	assert.Empty(t, p.to.Keys())

	_, err = db.Open(t).ExecContext(ctx(t), "SET GLOBAL binlog_format = 'MIXED'")
	require.NoError(t, err)
	again := open(t, db)
	n, err := again.AuditLogged.FlushMany(ctx(t))
	require.NoError(t, err)
	assert.Equal(t, 3, n)
}
