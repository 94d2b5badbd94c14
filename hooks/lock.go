package hooks

import (
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/entdriver"
)

// Lock returns a query modifier that selects the row with this id and locks it. It
// returns [entsignal.ErrNoTx] if drv is not in a transaction. SQLite has no row
// locks; there the query only reads.
func (c *Client[D, X]) Lock(drv dialect.Driver, idColumn string, id any, opts []sql.LockOption) (func(*sql.Selector), error) {
	if c.Transaction(drv) == nil && !entdriver.IsTx(drv) {
		return nil, entsignal.ErrNoTx
	}
	return func(s *sql.Selector) {
		s.Where(sql.EQ(s.C(idColumn), id))
		database.ForUpdate(s, opts...)
	}, nil
}
