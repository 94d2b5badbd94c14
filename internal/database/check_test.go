package database

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The servers that can't run in a test are known by what they answer.
func TestServersThatIgnoreLocksAreRefused(t *testing.T) {
	for name, set := range map[string]map[string]string{
		"TiDB":                      {"version": "8.0.11-TiDB-v7.5.0"},
		"TiDB under another's name": {"version": "5.7.25", "version_comment": "TiDB Server (Apache License 2.0) Community Edition, MySQL 5.7 compatible"},
		"TiDB by its settings":      {"version": "8.0.40", "tidb_txn_mode": "pessimistic"},
		"Dolt":                      {"version": "8.0.33", "version_comment": "Dolt"},
	} {
		require.ErrorContains(t, refuseMySQL(set, func(string) bool { return false }), "locks nothing", name)
	}
	for version, comment := range map[string]string{
		"10.11.19-MariaDB-0+deb12u1": "Debian 12",
		"8.4.3":                      "MySQL Community Server - GPL",
		"8.0.mysql_aurora.3.04.0":    "Source distribution",
	} {
		set := map[string]string{"version": version, "version_comment": comment, "completion_type": "NO_CHAIN", "autocommit": "ON", "binlog_format": "ROW", "log_bin": "ON"}
		on := func(name string) bool { return set[name] == "ON" }
		require.NoError(t, refuseMySQL(set, on), version)
		assert.Empty(t, kinOfMySQL(set), version)
	}
}

func TestClustersAreWarnedOf(t *testing.T) {
	for setting, set := range map[string]map[string]string{
		"wsrep_on":                              {"wsrep_on": "ON"},
		"group_replication_single_primary_mode": {"group_replication_group_name": "aaaa", "group_replication_single_primary_mode": "OFF"},
		"version":                               {"version": "8.0.30-Vitess"},
	} {
		misfits := kinOfMySQL(set)
		require.Len(t, misfits, 1, setting)
		assert.Equal(t, setting, misfits[0].Setting)
	}
	assert.Empty(t, kinOfMySQL(map[string]string{"wsrep_on": "OFF", "group_replication_group_name": "aaaa", "group_replication_single_primary_mode": "ON"}))
	for version, says := range map[string]string{
		"CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu, built 2023/09/27, go1.19.10)":             "sql.txn.read_committed_isolation.enabled",
		"PostgreSQL 11.2-YB-2.18.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang version 15.0.3": "yb_enable_read_committed_isolation",
		"Materialize v0.99": "the server is not PostgreSQL",
		"":                  "the server is not PostgreSQL",
	} {
		misfits := kinOfPostgres(version)
		require.Len(t, misfits, 1, version)
		assert.Contains(t, misfits[0].Effect, says)
	}
	assert.Empty(t, kinOfPostgres("PostgreSQL 15.18 (Debian 15.18-1.pgdg120+1) on x86_64-pc-linux-gnu, compiled by gcc"))
}

// Of two limits the lowest counts; 0 is none.
func TestIdleLimitBelowTheTimeOfABatchIsAMisfit(t *testing.T) {
	assert.Empty(t, tooShort(time.Second, map[string]time.Duration{"a": 0, "b": time.Second}))
	assert.Equal(t, "b", tooShort(time.Minute, map[string]time.Duration{"a": 3 * time.Second, "b": 2 * time.Second, "c": 0})[0].Setting)
}
