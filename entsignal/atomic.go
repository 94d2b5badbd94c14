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

// An AtomicOption configures one call of the generated Client.Atomic or InTx. A
// call that joins an open transaction returns an error for Isolation and ignores
// the other options, because the outer call begins the transaction and runs it
// again.
type AtomicOption interface{ atomicOption() }

type atomicOption struct{ option.Option[txn.Options] }

func (atomicOption) atomicOption() {}

// Isolation sets the isolation level of the transaction. The default is REPEATABLE
// READ. SQLite ignores it: every transaction is serializable there. A call that
// joins an open transaction can't set the isolation, and returns an error.
func Isolation(level sql.IsolationLevel) AtomicOption {
	return atomicOption{option.New("Isolation", func(o *txn.Options) error {
		o.Isolation = &level
		return nil
	})}
}

// ReadOnly begins a read-only transaction, in which the database rejects writes.
// SQLite doesn't reject them; there, the transaction only begins without a write
// lock.
func ReadOnly() AtomicOption {
	return atomicOption{option.New("ReadOnly", func(o *txn.Options) error {
		o.ReadOnly = true
		return nil
	})}
}

// Retries sets how often a transaction that failed is run again. The default is 8.
// With 0 it runs once.
func Retries(n int) AtomicOption {
	return atomicOption{option.New("Retries", func(o *txn.Options) error {
		if n < 0 {
			return fmt.Errorf("Retries: %d; expected 0 or more", n)
		}
		o.Retries = n
		return nil
	})}
}

// Backoff sets the pauses before a transaction is run again. The first pause is at
// most shortest. Each next one is up to twice as long, but never longer than
// longest. Half of each pause is random. The default is 10 milliseconds and 1
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

// RetryOnConstraint turns a constraint error, such as a duplicate key, into an
// [ErrSerialization] too, so that Atomic runs its function again. It returns any
// other error unchanged, and nil for nil. Use it where another transaction may have
// caused the violation, and reading the database again avoids it:
//
//	if err := tx.Account.Create().SetOwner(owner).Exec(ctx); err != nil {
//		return entsignal.RetryOnConstraint(err)
//	}
//
// After the last try, Atomic returns the constraint error itself.
func RetryOnConstraint(err error) error {
	if err == nil || errors.Is(err, ErrSerialization) || !sqlgraph.IsConstraintError(err) {
		return err
	}
	return &txn.Again{Err: err, Mark: ErrSerialization}
}

// IsSerializationFailure reports whether the transaction may succeed if it is run
// again. That is so for a serialization failure, a deadlock, a busy SQLite database
// and an error that wraps [ErrSerialization]. It recognizes the errors of lib/pq,
// pgx, go-sql-driver/mysql, modernc.org/sqlite and mattn/go-sqlite3. It returns
// false for a lock that wasn't free in time (PostgreSQL's NOWAIT and lock_timeout,
// MySQL's lock wait timeout).
func IsSerializationFailure(err error) bool {
	return errors.Is(err, ErrSerialization) || errors.Is(err, txn.ErrGivesWay) || database.IsSerializationFailure(err)
}
