// Package outcomes_test shows that a bus changes nothing for the application: what
// its calls return, and what is in the database, is the same with a bus and
// without one.
package outcomes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/outcomes/ent"
	"github.com/entsignal/signalbus/integration/outcomes/ent/migrate"
	_ "github.com/entsignal/signalbus/integration/outcomes/ent/runtime"
	"github.com/entsignal/signalbus/internal/testlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBusWhoseSendersFailChangesNoOutcome(t *testing.T) {
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				want := run(t, db, use)
				var refused atomic.Int64
				got := run(t, testdb.New(t, db.Kind), use, ent.WithSignalBus(refusing(t, &refused)))
				assert.Equal(t, want, got)
				assert.Positive(t, refused.Load(), "signals that came to a sender")
			})
		})
	}
}

// outcomes are what calls have returned.
type outcomes []string

// add adds what one call has returned.
func (o *outcomes) add(call string, v any, err error) {
	*o = append(*o, database.ReplaceAllString(fmt.Sprintf("%s: %v, %v", call, v, err), "`DATABASE`"))
}

// database is what MariaDB calls a database in an error.
var database = regexp.MustCompile("`es_[0-9_]+`")

// err adds the error of a call.
func (o *outcomes) err(call string, err error) { o.add(call, "", err) }

// run returns what an application gets, and what it leaves in an empty database.
func run(t *testing.T, db *testdb.DB, use func(context.Context, *ent.Client, *outcomes), opts ...ent.Option) outcomes {
	t.Helper()
	db.CreateTables(t, func(w io.Writer) error { return ent.NewClient(ent.Driver(db.Driver(t))).Schema.WriteTo(t.Context(), w) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var o outcomes
	use(ctx, ent.NewClient(append(opts, ent.Driver(db.Driver(t)), ent.Log(func(...any) {}))...), &o)
	require.NotEmpty(t, o)
	for _, table := range migrate.Tables {
		o = append(o, rows(t, db, table.Name)...)
	}
	return o
}

// rows returns the rows of a table.
func rows(t *testing.T, db *testdb.DB, table string) (all []string) {
	t.Helper()
	rows, err := db.Open(t).QueryContext(t.Context(), "SELECT * FROM "+table)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		require.NoError(t, rows.Scan(values...))
		var row strings.Builder
		for i, v := range values {
			fmt.Fprintf(&row, " %s=%s", columns[i], fmt.Sprint(*v.(*any)))
		}
		all = append(all, table+row.String())
	}
	require.NoError(t, rows.Err())
	slices.Sort(all)
	return all
}

// refusing returns a bus that tries to send each signal, and fails.
func refusing(t *testing.T, refused *atomic.Int64) *entsignal.Bus {
	t.Helper()
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		Audit:      refuse[*ent.Audit](refused),
		Club:       refuse[*ent.Club](refused),
		Courier:    refuse[*ent.Courier](refused),
		Friendship: refuse[*ent.Friendship](refused),
		Parcel:     refuse[*ent.Parcel](refused),
		Person:     refuse[*ent.Person](refused),
		Post:       refuse[*ent.Post](refused),
		Stamp:      refuse[*ent.Stamp](refused),
	}, entsignal.WithLogger((&testlog.Log{}).Logger()), entsignal.WithErrorHandler(func(_ context.Context, err error) {
		assert.ErrorIs(t, err, errRefused)
	}))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, bus.Close(context.Background())) })
	return bus
}

var errRefused = errors.New("refused")

func refuse[T any](refused *atomic.Int64) entsignal.Sender[T] {
	return func(_ context.Context, signals []T) error {
		refused.Add(int64(len(signals)))
		return errRefused
	}
}
