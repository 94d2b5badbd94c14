package entsignal

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql/sqlgraph"

	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/txn"
)

// An AtomicOption tunes one call of the generated Client.Atomic or InTx. A
// call that joins an open transaction refuses Isolation; of the others it
// makes no use, because the transaction is begun and run again by the call
// that it joins.
type AtomicOption interface{ atomicOption() }

type atomicOption struct{ option.Option[txn.Options] }

func (atomicOption) atomicOption() {}

// Isolation sets the isolation level of the transaction. The default is
// REPEATABLE READ. It has no effect on SQLite, where every transaction is
// serializable. A call that joins an open transaction can't have an isolation
// of its own: it returns an error.
func Isolation(level sql.IsolationLevel) AtomicOption {
	return atomicOption{option.New("Isolation", func(o *txn.Options) error {
		o.Isolation = &level
		return nil
	})}
}

// ReadOnly begins a read-only transaction: the database refuses to write in
// it. SQLite doesn't refuse; there the transaction merely takes no write lock
// when it begins.
func ReadOnly() AtomicOption {
	return atomicOption{option.New("ReadOnly", func(o *txn.Options) error {
		o.ReadOnly = true
		return nil
	})}
}

// Retries sets how often the transaction is run again, by default 8 times. 0
// runs it once.
func Retries(n int) AtomicOption {
	return atomicOption{option.New("Retries", func(o *txn.Options) error {
		if n < 0 {
			return fmt.Errorf("Retries: %d; expected 0 or more", n)
		}
		o.Retries = n
		return nil
	})}
}

// Backoff sets the pauses before the transaction is run again: the first is
// at most shortest, each next one up to twice as long, and none exceeds
// longest. Half of each is random. The default is 10 milliseconds and 1
// second.
func Backoff(shortest, longest time.Duration) AtomicOption {
	return atomicOption{option.New("Backoff", func(o *txn.Options) error {
		if shortest < 0 || longest < shortest {
			return fmt.Errorf("Backoff: %v to %v; expected 0 or more, the shortest first", shortest, longest)
		}
		o.MinBackoff, o.MaxBackoff = shortest, longest
		return nil
	})}
}

// RetryOnConstraint makes a constraint error, such as a duplicate key, an
// [ErrSerialization] too, so that Atomic runs its function again. Other errors
// it returns as they are, and nil for nil. Use it where another transaction
// may have caused the violation and a second look at the database avoids it:
//
//	if err := tx.Account.Create().SetOwner(owner).Exec(ctx); err != nil {
//		return entsignal.RetryOnConstraint(err)
//	}
//
// After the last try Atomic returns the constraint error itself.
func RetryOnConstraint(err error) error {
	if err == nil || errors.Is(err, ErrSerialization) || !sqlgraph.IsConstraintError(err) {
		return err
	}
	return &txn.Again{Err: err, Mark: ErrSerialization}
}

// IsSerializationFailure reports whether err says that the transaction may
// succeed if it is run again: a serialization failure or a deadlock, a busy
// SQLite database, or an error that wraps [ErrSerialization]. It knows the
// errors of lib/pq, pgx, go-sql-driver/mysql, modernc.org/sqlite and
// mattn/go-sqlite3. A lock that wasn't free in time (PostgreSQL's NOWAIT and
// lock_timeout, MySQL's lock wait timeout) is none.
func IsSerializationFailure(err error) bool {
	return errors.Is(err, ErrSerialization) || errors.Is(err, txn.ErrGivesWay) || database.IsSerializationFailure(err)
}
