package order_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/order/ent"
)

// BenchmarkLockOrderKey has 12 writers create signals, in transactions that
// stay open for up to 10 ms, with and without a lock of the key, in turn: of
// 1000 keys in equal shares, and with one that half of the transactions write.
// It reports the medians of the rows per second.
func BenchmarkLockOrderKey(b *testing.B) {
	const rows = 2000
	var to arrivals
	p := open(b, testdb.New(b, testdb.PostgreSQL), &to)
	creates := map[string]func(tx *ent.Tx, key int) error{
		"free": func(tx *ent.Tx, key int) error {
			return tx.AccountMoved.Create().SetAccount(key).SetNumber(0).Exec(context.Background())
		},
		"locked": func(tx *ent.Tx, key int) error {
			return tx.AccountLocked.Create().SetAccount(key).SetNumber(0).Exec(context.Background())
		},
	}
	uniform := func(_ int, random *rand.Rand) int { return random.IntN(1000) }
	hot := func(_ int, random *rand.Rand) int { return random.IntN(1000) * random.IntN(2) }
	speeds := make(map[string][]float64)
	for b.Loop() {
		for share, keyOf := range map[string]func(int, *rand.Rand) int{"uniform": uniform, "hot": hot} {
			for how, create := range creates {
				began := time.Now()
				writeKeys(b, p, rows, keyOf, create)
				speeds[share+"-"+how] = append(speeds[share+"-"+how], rows/time.Since(began).Seconds())
				for _, table := range []string{"account_moveds", "account_lockeds"} {
					_, err := p.db.Open(b).Exec("TRUNCATE " + table)
					require.NoError(b, err)
				}
			}
		}
	}
	for name, all := range speeds {
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2], name+"-rows/s")
	}
}
