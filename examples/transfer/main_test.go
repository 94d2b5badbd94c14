package main

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAccountsAgreeWithTheMessages(t *testing.T) {
	for name, postgres := range map[string]string{"sqlite": "", "postgres": database(t)} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			require.NoError(t, run(t.Context(), postgres, &out))
			assert.Contains(t, out.String(), "400 transfers: ")
			assert.Contains(t, out.String(), "the accounts agree with the messages\n")
			t.Log(out.String())
		})
	}
}

// database returns the URL of an empty PostgreSQL database.
func database(t *testing.T) string {
	server := os.Getenv("ENTSIGNAL_TEST_POSTGRES")
	require.NotEmpty(t, server, "set ENTSIGNAL_TEST_POSTGRES to the URL of a PostgreSQL, or run the tests by `make test`")
	u, err := url.Parse(server)
	require.NoError(t, err, "ENTSIGNAL_TEST_POSTGRES is not a URL")
	admin, err := sql.Open("postgres", server)
	require.NoError(t, err)
	name := fmt.Sprintf("transfer_%d_%d", os.Getpid(), time.Now().UnixNano())
	_, err = admin.Exec("CREATE DATABASE " + name)
	require.NoError(t, err)
	t.Cleanup(func() {
		defer admin.Close()
		_, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		assert.NoError(t, err)
	})
	u.Path = "/" + name
	return u.String()
}
