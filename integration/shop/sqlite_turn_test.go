package shop_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// On SQLite flushes take turns. A sender that hangs has the turn, and must not
// hold up commits of other types, or of other processes, for as long as it
// hangs. The sender is freed only after the commits have returned.
func TestStuckSenderOnSQLiteHoldsUpNoOtherCommitForLong(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	s := open(t, db)
	peer := s.peer(t)
	stuck, free := make(chan struct{}), make(chan struct{})
	s.audit(t, 1)
	s.audits.Before(func(ctx context.Context, _ []*ent.AuditLogged) error {
		close(stuck)
		select {
		case <-free:
		case <-ctx.Done():
			t.Error("the commits waited for the sender until its time was over")
		}
		return nil
	})
	flushed := make(chan error, 1)
	go func() {
		_, err := s.AuditLogged.FlushMany(context.Background())
		flushed <- err
	}()
	<-stuck

	for name, other := range map[string]*shop{"of the same process": s, "of another process": peer} {
		other.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 1).ExecX(ctx(t)) })
		errs := other.errors.all()
		require.Len(t, errs, 1, name)
		assert.ErrorContains(t, errs[0], "another flush is using the database", name)
		assert.True(t, entsignal.IsUnavailable(errs[0]), name)
		assert.Empty(t, other.orders.Keys(), name)
	}
	close(free)
	require.NoError(t, <-flushed)

	n, err := s.OrderPlaced.Flush(ctx(t), entsignal.Wait(0))
	require.NoError(t, err)
	assert.Equal(t, 2, n, "what stayed pending leaves by a flush")
}
