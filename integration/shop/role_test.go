package shop_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// withRoles are the databases that know users.
var withRoles = []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}

// idColumns are those of the tables of signals whose id is not called so.
var idColumns = map[string]string{"outgoing_shipments": "shipment_id"}

// withoutSequence are the tables of signals that make their ids themselves.
var withoutSequence = map[string]bool{"user_joineds": true, "ticket_openeds": true, "badge_givens": true}

// role is a user of the database, made by the script that the project ships.
type role struct {
	name  string
	db    *testdb.DB // as this user
	owner *sql.DB    // as the owner of the tables
	each  []string   // the script's grants for one signal
	child string     // its grant for what a sender reads besides
}

// newRole runs the script for the tables of the shop.
func newRole(t *testing.T, s *shop) *role {
	t.Helper()
	r := &role{name: fmt.Sprintf("relay_%d_%d", os.Getpid(), time.Now().UnixNano()), owner: s.db.Open(t)}
	as, database, unlock := s.db.AsUser(t, r.name, "relay-password")
	r.db = as
	file := map[string]string{dialect.Postgres: "relay-postgres.sql", dialect.MySQL: "relay-mariadb.sql"}[s.db.Dialect]
	content, err := os.ReadFile("../../examples/deploy/" + file)
	require.NoError(t, err)
	text := rename(string(content), "relay", r.name, "shop", database)
	for line := range strings.Lines(text) {
		if optional, ok := strings.CutPrefix(strings.TrimSpace(line), "-- GRANT SELECT ON "); ok {
			r.child = "GRANT SELECT ON " + strings.TrimSuffix(optional, ";")
		}
	}
	require.NotEmpty(t, r.child)
	t.Cleanup(func() {
		if s.db.Dialect == dialect.Postgres {
			r.exec(t, "DROP OWNED BY "+r.name)
		}
		r.exec(t, "DROP USER "+r.name)
	})
	if s.db.Dialect == dialect.Postgres { // or the role would have what everybody has
		r.exec(t, "REVOKE ALL ON DATABASE "+database+" FROM PUBLIC")
		r.exec(t, "REVOKE ALL ON SCHEMA public FROM PUBLIC")
	}
	for statement := range strings.SplitSeq(regexp.MustCompile(`(?m)^--.*$`).ReplaceAllString(text, ""), ";") {
		switch statement = strings.TrimSpace(statement); {
		case statement == "":
		case strings.Contains(statement, "order_placeds"):
			r.each = append(r.each, statement)
		default:
			r.exec(t, statement)
		}
	}
	require.NotEmpty(t, r.each)
	require.Error(t, r.db.Open(t).PingContext(ctx(t)), "it needs no password")
	r.exec(t, unlock)
	for _, info := range s.bus.Signals() {
		r.grant(t, info.Table)
	}
	r.exec(t, rename(r.child, "order_lines", "invoice_lines"))
	return r
}

// grant runs the script's grants for the table of a signal.
func (r *role) grant(t *testing.T, table string) {
	t.Helper()
	for _, statement := range r.each {
		if withoutSequence[table] && strings.Contains(statement, "SEQUENCE") {
			continue
		}
		id := idColumns[table]
		if id == "" {
			id = "id"
		}
		r.exec(t, rename(statement, "id", id, "order_placeds", table, "order_placeds_id_seq", table+"_"+id+"_seq"))
	}
}

func (r *role) exec(t *testing.T, statement string) {
	t.Helper()
	_, err := r.owner.ExecContext(ctx(t), statement)
	require.NoError(t, err, statement)
}

// rename replaces words, given as pairs.
func rename(s string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		s = regexp.MustCompile(`\b`+pairs[i]+`\b`).ReplaceAllLiteralString(s, pairs[i+1])
	}
	return s
}

// recordOfEach records a pending signal of each type, and returns how many.
func (s *shop) recordOfEach(t *testing.T) int {
	t.Helper()
	s.bus.SetAutoFlush(false)
	s.inTx(t, func(tx *ent.Tx) {
		order(tx.OrderPlaced, 1).ExecX(ctx(t))
		tx.UserJoined.Create().SetNumber(1).ExecX(ctx(t))
		tx.TicketOpened.Create().SetID("T").SetNumber(1).ExecX(ctx(t))
		tx.BadgeGiven.Create().SetNumber(1).ExecX(ctx(t))
		tx.ShipmentDue.Create().SetNumber(1).SetCustomer("Ada").ExecX(ctx(t))
		tx.AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
		invoice := tx.InvoiceIssued.Create().SetNumber(1).SaveX(ctx(t))
		tx.InvoiceLine.Create().SetText("a book").SetInvoice(invoice).ExecX(ctx(t))
		tx.Measured.Create().ExecX(ctx(t))
	})
	return len(s.bus.Signals())
}

func TestRelayNeedsOnlyTheRightsOfTheScript(t *testing.T) {
	t.Parallel()
	testdb.On(t, withRoles, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		relay := newShop(t)
		relay.open(t, newRole(t, s).db)
		for _, flush := range []func() (int, error){
			func() (int, error) { return relay.bus.Flush(ctx(t), entsignal.Wait(0)) },
			func() (int, error) { return relay.bus.FlushMany(ctx(t), entsignal.Burst(10), entsignal.Workers(2)) },
			func() (int, error) { return relay.bus.FlushOrdered(ctx(t)) },
		} {
			recorded := s.recordOfEach(t)
			pending, err := relay.bus.Pending(ctx(t))
			require.NoError(t, err)
			require.Len(t, pending, recorded)
			n, err := flush()
			require.NoError(t, err)
			assert.Equal(t, recorded, n)
		}
		assert.Zero(t, s.InvoiceLine.Query().CountX(ctx(t)), "children go with their signal")
		if db.Dialect == dialect.Postgres {
			assert.Empty(t, relay.check(t, "AuditLogged"), "the order is strict")
		}

		s.audit(t, 3)
		entsignaltest.FailWhere(relay.outbox, func(a *ent.AuditLogged) error {
			if a.Number == 2 {
				return errors.New("not this one")
			}
			return nil
		})
		n, err := relay.AuditLogged.Send(ctx(t), relay.AuditLogged.Query().AllX(ctx(t))...)
		require.Error(t, err)
		assert.Equal(t, 2, n, "a batch that is sent in part")
		assert.Equal(t, 1, s.pending(t, "AuditLogged"))
	})
}

func TestRelayCannotForgeSignalsNorReadTheBusiness(t *testing.T) {
	t.Parallel()
	testdb.On(t, withRoles, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.recordOfEach(t)
		relay := newShop(t)
		relay.open(t, newRole(t, s).db)
		denied := regexp.MustCompile("permission denied|denied to user|must be owner")
		for what, err := range map[string]error{
			"record a signal":        order(relay.OrderPlaced, 2).Exec(ctx(t)),
			"change a signal":        relay.OrderPlaced.Update().SetNumber(3).Exec(ctx(t)),
			"read the business":      second(relay.Order.Query().Count(ctx(t))),
			"delete of the business": second(relay.Order.Delete().Exec(ctx(t))),
			"delete a child":         second(relay.InvoiceLine.Delete().Exec(ctx(t))),
			"drop a table":           second(relay.db.Open(t).ExecContext(ctx(t), "DROP TABLE order_placeds")),
			"empty a table":          second(relay.db.Open(t).ExecContext(ctx(t), "TRUNCATE TABLE order_placeds")),
			"create a table":         second(relay.db.Open(t).ExecContext(ctx(t), "CREATE TABLE mine (id int)")),
		} {
			require.Error(t, err, what)
			assert.Regexp(t, denied, err.Error(), what)
		}
		assert.Equal(t, 1, s.OrderPlaced.Query().OnlyX(ctx(t)).Number)
	})
}

// Each right of the script is there because a flush fails without it.
func TestRelayNeedsEachRightOfTheScript(t *testing.T) {
	t.Parallel()
	testdb.On(t, withRoles, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 2)
		r := newRole(t, s)
		relay := newShop(t)
		relay.open(t, r.db)
		rights := []string{"SELECT", "DELETE"}
		if db.Dialect == dialect.Postgres {
			rights = append(rights, "UPDATE (id)")
		}
		for _, right := range rights {
			r.exec(t, "REVOKE "+right+" ON audit_loggeds FROM "+r.name)
			n, err := relay.AuditLogged.FlushMany(ctx(t), entsignal.Burst(2))
			require.ErrorContains(t, err, "denied", right)
			assert.Zero(t, n)
			r.grant(t, "audit_loggeds")
		}
		assert.Empty(t, relay.audits.Keys(), "a right that is missing is noticed before anything is sent")
		n, err := relay.AuditLogged.FlushMany(ctx(t), entsignal.Burst(2))
		require.NoError(t, err)
		assert.Equal(t, 2, n)
	})
}

func second[T any](_ T, err error) error { return err }
