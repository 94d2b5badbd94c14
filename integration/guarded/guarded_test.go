package guarded_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	entgo "entgo.io/ent"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/privacy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/guarded/ent"
	"github.com/entsignal/signalbus/integration/guarded/ent/documentprinted"
	"github.com/entsignal/signalbus/integration/guarded/ent/migrate"
	_ "github.com/entsignal/signalbus/integration/guarded/ent/runtime"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// archive is an application whose documents nobody may read or delete.
type archive struct {
	*ent.Client
	bus     *entsignal.Bus
	db      *testdb.DB
	shared  *recorder.Recorder[*ent.DocumentShared, string]
	printed *recorder.Recorder[*ent.DocumentPrinted, int]
}

func open(t *testing.T, db *testdb.DB) *archive {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	a := &archive{
		db: db,
		shared: recorder.New(outbox, func(s *ent.DocumentShared) string {
			var names []string
			for _, attachment := range s.Edges.Attachments {
				names = append(names, attachment.Name)
			}
			slices.Sort(names)
			return fmt.Sprint(s.Number, ":", strings.Join(names, "+"))
		}),
		printed: recorder.New(outbox, func(s *ent.DocumentPrinted) int { return s.Number }),
	}
	bus, err := ent.NewSignalBus(senders, entsignal.WithErrorHandler(func(_ context.Context, err error) { assert.NoError(t, err, "autoflush") }))
	require.NoError(t, err)
	a.bus = bus
	a.Client = ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
	tables, err := schema.CopyTables(migrate.Tables) // which a migration writes to
	require.NoError(t, err)
	require.NoError(t, migrate.Create(ctx(t), a.Schema, tables))

	a.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			if !m.Op().Is(entgo.OpCreate) {
				return nil, errForbidden
			}
			return next.Mutate(ctx, m)
		})
	})
	a.Intercept(
		ent.InterceptFunc(func(ent.Querier) ent.Querier {
			return ent.QuerierFunc(func(context.Context, ent.Query) (ent.Value, error) { return nil, errForbidden })
		}),
		ent.TraverseFunc(func(context.Context, ent.Query) error { return errForbidden }),
	)
	return a
}

var errForbidden = errors.New("forbidden by the client")

// record commits two documents of each kind. One shared document, and one of
// the attachments, are marked as deleted from the start.
func (a *archive) record(t *testing.T) (shared []*ent.DocumentShared, printed []*ent.DocumentPrinted) {
	t.Helper()
	tx, err := a.Tx(ctx(t))
	require.NoError(t, err)
	for number := range 2 {
		printed = append(printed, tx.DocumentPrinted.Create().SetNumber(number).SaveX(ctx(t)))
	}
	shared = append(shared,
		tx.DocumentShared.Create().SetNumber(0).SaveX(ctx(t)),
		tx.DocumentShared.Create().SetNumber(1).SetDeletedAt(time.Now()).SaveX(ctx(t)))
	tx.Attachment.Create().SetName("seen").SetDocument(shared[0]).SaveX(ctx(t))
	tx.Attachment.Create().SetName("hidden").SetDocument(shared[0]).SetDeletedAt(time.Now()).SaveX(ctx(t))
	require.NoError(t, tx.Commit())
	return shared, printed
}

// rows returns how many rows a table really has.
func (a *archive) rows(t *testing.T, table string) (n int) {
	t.Helper()
	require.NoError(t, a.db.Open(t).QueryRow("SELECT COUNT(*) FROM "+table).Scan(&n))
	return n
}

func TestBusPassesByTheGuardsOfTheProject(t *testing.T) {
	t.Parallel()
	type flush = func(ctx context.Context, opts ...entsignal.FlushOption) (int, error)
	flushOf := func(pick func(*archive) flush, opts ...entsignal.FlushOption) func(*testing.T, *archive) {
		return func(t *testing.T, a *archive) {
			a.bus.SetAutoFlush(false)
			a.record(t)
			counts, err := a.bus.Pending(ctx(t))
			require.NoError(t, err)
			assert.Equal(t, []entsignal.PendingCount{{Name: "DocumentPrinted", Count: 2}, {Name: "DocumentShared", Count: 2}}, counts)
			n, err := pick(a)(ctx(t), opts...)
			require.NoError(t, err)
			assert.Equal(t, 4, n)
		}
	}
	for name, send := range map[string]func(*testing.T, *archive){
		"autoflush":    func(t *testing.T, a *archive) { a.record(t) },
		"flush":        flushOf(func(a *archive) flush { return a.bus.Flush }, entsignal.Wait(0)),
		"flushmany":    flushOf(func(a *archive) flush { return a.bus.FlushMany }),
		"flushordered": flushOf(func(a *archive) flush { return a.bus.FlushOrdered }),
		"send": func(t *testing.T, a *archive) {
			a.bus.SetAutoFlush(false)
			shared, printed := a.record(t)
			n, err := a.DocumentShared.Send(ctx(t), shared...)
			require.NoError(t, err)
			assert.Equal(t, 2, n)
			n, err = a.DocumentPrinted.Send(ctx(t), printed...)
			require.NoError(t, err)
			assert.Equal(t, 2, n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				a := open(t, db)
				send(t, a)
				assert.ElementsMatch(t, []string{"0:hidden+seen", "1:"}, a.shared.Keys())
				assert.ElementsMatch(t, []int{0, 1}, a.printed.Keys())
				if name == "flushordered" {
					assert.Equal(t, []string{"1:", "0:hidden+seen"}, a.shared.Keys())
				}
				for _, table := range []string{"document_shareds", "document_printeds", "attachments"} {
					assert.Zero(t, a.rows(t, table), table)
				}
			})
		})
	}
}

// The other test shows something only if the guards hold everybody else off.
func TestGuardsHoldOffTheApplication(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	a := open(t, db)
	a.bus.SetAutoFlush(false)
	a.record(t)
	_, err := a.DocumentShared.Query().All(ctx(t))
	require.ErrorIs(t, err, errForbidden)
	_, err = a.DocumentShared.Delete().Exec(ctx(t))
	require.ErrorIs(t, err, errForbidden)

	bare := ent.NewClient(ent.Driver(db.Driver(t)))
	_, err = bare.DocumentShared.Query().All(ctx(t))
	require.ErrorIs(t, err, privacy.Deny)
	_, err = bare.DocumentShared.Delete().Exec(ctx(t))
	require.ErrorIs(t, err, privacy.Deny)

	allowed := privacy.DecisionContext(ctx(t), privacy.Allow)
	assert.Equal(t, 1, bare.Attachment.Query().CountX(allowed))
	assert.Equal(t, 2, bare.DocumentShared.Delete().ExecX(allowed))
	assert.Zero(t, bare.DocumentShared.Query().CountX(allowed))
	_, err = bare.DocumentPrinted.Delete().Where(documentprinted.Number(0)).Exec(allowed)
	require.ErrorContains(t, err, "nothing is deleted here")
	assert.Equal(t, 2, a.rows(t, "document_shareds"), "they are marked only")
	assert.Equal(t, 2, a.rows(t, "document_printeds"))
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}
