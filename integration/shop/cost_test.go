package shop_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// messages counts what a client sends to its server. lib/pq sends nothing without
// waiting for the answer, so these are round trips.
type messages struct {
	mu sync.Mutex
	n  int
}

// take returns how many there were since the last call.
func (m *messages) take() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.n
	m.n = 0
	return n
}

func (m *messages) Dial(network, address string) (net.Conn, error) {
	return m.DialTimeout(network, address, 0)
}

func (m *messages) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout(network, address, timeout)
	return &countedConn{c, m}, err
}

type countedConn struct {
	net.Conn
	of *messages
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.of.mu.Lock()
	c.of.n++
	c.of.mu.Unlock()
	return c.Conn.Write(b)
}

// openCounted opens a shop over lib/pq, and counts its messages.
func openCounted(t *testing.T, opts ...entsignal.BusOption) (*shop, *messages) {
	db := testdb.New(t, testdb.PostgreSQL)
	sent := &messages{}
	connector, err := pq.NewConnector(db.DSN)
	require.NoError(t, err)
	connector.Dialer(sent)
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { _ = pool.Close() })
	s := newShop(t)
	s.db = db
	s.bus, err = ent.NewSignalBus(s.senders, opts...)
	require.NoError(t, err)
	s.Client = ent.NewClient(ent.Driver(entsql.OpenDB(db.Dialect, pool)), ent.WithSignalBus(s.bus))
	s.createTables(t)
	t.Cleanup(func() { assert.NoError(t, s.bus.Close(context.Background())) })
	return s, sent
}

func TestAutoflushTakesFewRoundTrips(t *testing.T) {
	t.Parallel()
	s, sent := openCounted(t)
	record := func(f func(tx *ent.Tx)) int {
		before := 0
		tx, err := s.Tx(ctx(t))
		require.NoError(t, err)
		f(tx)
		before = sent.take()
		require.NoError(t, tx.Commit())
		require.Positive(t, before)
		return sent.take() - 1 // the commit itself
	}
	one := func(tx *ent.Tx) { order(tx.OrderPlaced, 1).ExecX(ctx(t)) }
	record(one) // asks what the server is like
	assert.Equal(t, 2, record(one), "the claim and its commit")
	assert.Equal(t, 3, record(func(tx *ent.Tx) {
		tx.OrderPlaced.CreateBulk(order(tx.OrderPlaced, 2), order(tx.OrderPlaced, 3)).ExecX(ctx(t))
	}), "the rows, their deletion, the commit")
	record(func(tx *ent.Tx) { tx.InvoiceIssued.Create().SetNumber(1).ExecX(ctx(t)) })
	assert.Equal(t, 5, record(func(tx *ent.Tx) { tx.InvoiceIssued.Create().SetNumber(2).ExecX(ctx(t)) }),
		"its lines are read, with a statement that is prepared, before they go with it")
	assert.Equal(t, []int{1, 1, 2, 3}, s.orders.Keys())
	assert.Equal(t, []int{1, 2}, s.invoices.Keys())
}

// keptSettings makes the deletions from a table record the setting of their
// transaction.
func keptSettings(t *testing.T, s *shop, table string) func() []string {
	pool := s.db.Open(t)
	for _, statement := range []string{
		"CREATE TABLE IF NOT EXISTS settings (value text)",
		"CREATE OR REPLACE FUNCTION keep_setting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO settings VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$",
		"CREATE TRIGGER keep_setting AFTER INSERT OR DELETE ON " + table + " FOR EACH STATEMENT EXECUTE FUNCTION keep_setting()",
	} {
		_, err := pool.ExecContext(ctx(t), statement)
		require.NoError(t, err)
	}
	return func() (values []string) {
		rows, err := pool.QueryContext(ctx(t), "WITH gone AS (DELETE FROM settings RETURNING value) SELECT value FROM gone")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var v string
			require.NoError(t, rows.Scan(&v))
			values = append(values, v)
		}
		require.NoError(t, rows.Err())
		return values
	}
}

func TestOnlyTheDeletionOfWhatIsSentIsNotAwaitedOnDisk(t *testing.T) {
	t.Parallel()
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprint("durable ", durable), func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
				want, opts := "off", []entsignal.BusOption(nil)
				if durable {
					want, opts = "on", []entsignal.BusOption{entsignal.WithDurableDeletion()}
				}
				s := open(t, db, opts...)
				orders, users, audits := keptSettings(t, s, "order_placeds"), keptSettings(t, s, "user_joineds"), keptSettings(t, s, "audit_loggeds")
				for _, n := range []int{1, 2} {
					s.inTx(t, func(tx *ent.Tx) {
						tx.OrderPlaced.MapCreateBulk(make([]int, n), func(c *ent.OrderPlacedCreate, _ int) { c.SetNumber(n) }).ExecX(ctx(t))
					})
					assert.Equal(t, []string{"on", want}, orders(), "%d numbers", n)
					s.inTx(t, func(tx *ent.Tx) {
						tx.UserJoined.MapCreateBulk(make([]int, n), func(c *ent.UserJoinedCreate, _ int) { c.SetNumber(n) }).ExecX(ctx(t))
					})
					assert.Equal(t, []string{"on", want}, users(), "%d UUIDs", n)
				}
				for name, flush := range map[string]func(context.Context, ...entsignal.FlushOption) (int, error){
					"Flush": s.AuditLogged.Flush, "FlushMany": s.AuditLogged.FlushMany, "FlushOrdered": s.AuditLogged.FlushOrdered,
				} {
					s.audit(t, 2)
					opts := []entsignal.FlushOption{entsignal.Burst(2)}
					if name != "FlushMany" {
						opts = append(opts, entsignal.Wait(0))
					}
					n, err := flush(ctx(t), opts...)
					require.NoError(t, err)
					assert.Equal(t, 2, n)
					assert.Equal(t, []string{"on", want}, audits(), name)
				}
				assert.Empty(t, s.errors.all())
			})
		})
	}
}

// A row that can't be taken in one step is found out about in two.
func TestSingleSignalThatCannotBeTakenAtOnce(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		for name, c := range map[string]struct {
			make, undo string
			want       string // in the error; empty: it is sent
		}{
			"kept by a trigger": {
				"CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; CREATE TRIGGER keep BEFORE DELETE ON order_placeds FOR EACH ROW EXECUTE FUNCTION keep()",
				"DROP TRIGGER keep ON order_placeds", "the row is still there",
			},
			"kept by a rule": {"CREATE RULE keep AS ON DELETE TO order_placeds DO INSTEAD NOTHING", "DROP RULE keep ON order_placeds", "the row is still there"},
			"soft deletion": {
				"ALTER TABLE order_placeds ADD gone boolean; CREATE RULE keep AS ON DELETE TO order_placeds DO INSTEAD UPDATE order_placeds SET gone = true WHERE id = OLD.id RETURNING OLD.*",
				"DROP RULE keep ON order_placeds", "the row is still there",
			},
			"rule beside it":      {"CREATE RULE also AS ON DELETE TO order_placeds DO ALSO NOTIFY gone", "DROP RULE also ON order_placeds", ""},
			"immediate reference": {"CREATE TABLE notes (o bigint REFERENCES order_placeds)", "DROP TABLE notes", "notes"},
			"deferred reference":  {"CREATE TABLE notes (o bigint REFERENCES order_placeds DEFERRABLE INITIALLY DEFERRED)", "DROP TABLE notes", "notes"},
		} {
			t.Run(name, func(t *testing.T) {
				s := newShop(t)
				s.open(t, testdb.New(t, db.Kind))
				s.createTables(t)
				pool := s.db.Open(t)
				exec := func(statement string) {
					_, err := pool.ExecContext(ctx(t), statement)
					require.NoError(t, err)
				}
				exec(c.make)
				// What refers to the signal is written with it.
				refer := func() {
					if c.undo == "DROP TABLE notes" {
						exec("CREATE FUNCTION refer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO notes VALUES (NEW.id); RETURN NEW; END $$; CREATE TRIGGER refer AFTER INSERT ON order_placeds FOR EACH ROW EXECUTE FUNCTION refer()")
					}
				}
				refer()
				for i := range 2 {
					s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, i).ExecX(ctx(t)) })
				}
				if c.want == "" {
					assert.Equal(t, []int{0, 1}, s.orders.Keys())
					assert.Empty(t, s.errors.all())
					return
				}
				assert.Empty(t, s.orders.Keys())
				require.Len(t, s.errors.all(), 2)
				for _, err := range s.errors.all() {
					assert.ErrorContains(t, err, c.want)
					assert.ErrorContains(t, err, "id ")
				}
				exec("DROP TRIGGER IF EXISTS refer ON order_placeds")
				exec(c.undo)
				// In a new pool, because a prepared deletion may keep what a rule made of it.
				n, err := s.peer(t).OrderPlaced.FlushMany(ctx(t))
				require.NoError(t, err)
				assert.Equal(t, 2, n)
			})
		}
	})
}

// A signal that another transaction holds is left to it.
func TestSingleSignalThatIsHeldIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.bus.SetAutoFlush(false)
		id := uuid.New()
		s.UserJoined.Create().SetID(id).SetNumber(1).SetEmail("a").ExecX(ctx(t))
		holder, err := s.db.Open(t).BeginTx(ctx(t), nil)
		require.NoError(t, err)
		_, err = holder.ExecContext(ctx(t), "SELECT 1 FROM user_joineds FOR KEY SHARE")
		require.NoError(t, err)
		s.bus.SetAutoFlush(true)
		// The upsert records the row again.
		s.inTx(t, func(tx *ent.Tx) {
			tx.UserJoined.Create().SetID(id).SetNumber(1).SetEmail("a").OnConflictColumns("id").Update(func(u *ent.UserJoinedUpsert) { u.SetNumber(2) }).ExecX(ctx(t))
		})
		assert.Empty(t, s.users.Keys())
		require.NoError(t, holder.Rollback())
		n, err := s.UserJoined.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Empty(t, s.errors.all())
	})
}
