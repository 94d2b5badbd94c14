package pqconn

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHostsOfAURLAreAllTried(t *testing.T) {
	t.Parallel()
	u := databaseURL(t)
	q := u.Query()
	q.Set("target_session_attrs", "read-write")
	u.RawQuery = q.Encode()
	u.Host = "127.0.0.1:1," + u.Host
	for name, connect := range map[string]func(dsn string) (*sql.DB, error){
		"several hosts":        func(dsn string) (*sql.DB, error) { return Open(dsn) },
		"with kept statements": func(dsn string) (*sql.DB, error) { return Open(dsn, WithStatementCache(1)) },
	} {
		db, err := connect(u.String())
		require.NoError(t, err, name)
		require.NoError(t, db.PingContext(t.Context()), name)
		require.NoError(t, db.Close())
	}
	w := newWakeUp(t, u.String())
	woken, _ := listening(t, w)
	assert.Nil(t, next(t, woken))
	require.NoError(t, w.Prove(within(t, hang)))
}

func TestOtherDSNsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"", "host=a,b port=1,2", "postgres://u:p@a:1/db?x=y", "mysql://a,b/db", "postgres://%"} {
		assert.Equal(t, dsn, withHosts(dsn))
	}
	assert.Equal(t, "postgres://u:p%2F@/db?host=a%2Cb&port=5432%2C2&sslmode=disable", withHosts("postgres://u:p%2F@a,b:2/db?sslmode=disable"))
}
