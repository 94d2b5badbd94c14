package signalcli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

func TestMissingIndexIsShownBelowTheTable(t *testing.T) {
	var out strings.Builder
	require.NoError(t, printChecks(&out, []entsignal.OrderCheck{
		{Name: "AuditLogged", Strict: true},
		{Name: "ShipmentDue", Reason: "it is ordered by \"customer\" first", MissingIndex: "CREATE INDEX CONCURRENTLY ON \"shipments\" (\"customer\", \"id\")"},
	}))
	assert.Equal(t, `SIGNAL       STRICT  REASON
AuditLogged  yes     -
ShipmentDue  no      it is ordered by "customer" first
ShipmentDue: no index serves its order, so each batch sorts the whole table; CREATE INDEX CONCURRENTLY ON "shipments" ("customer", "id")
`, out.String())
}
