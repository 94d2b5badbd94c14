package entsignal_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a user's program links must stay light: a code generator, a command
// line or test helpers in it would be the library's fault.
func TestProgramsThatUseTheLibraryLinkOnlyWhatTheyNeed(t *testing.T) {
	const module = "github.com/entsignal/signalbus/"
	tools := []string{"entgo.io/ent/entc", "github.com/spf13/", "golang.org/x/tools", "github.com/stretchr/", "go.opentelemetry.io/"}
	heavy := append([]string{"testing", "flag", module + "entsignal/entsignaltest"}, tools...)
	core := append(heavy[:len(heavy):len(heavy)], "github.com/rabbitmq/", "github.com/lib/pq", module+"entsignal/signalmetrics", "net/http")
	for pkg, forbidden := range map[string][]string{
		"entsignal":               core,
		"mixin":                   core,
		"hooks":                   core,
		"entsignal/rabbitmq":      append(heavy, "github.com/lib/pq"),
		"entsignal/signalmetrics": append(heavy, "github.com/rabbitmq/", "github.com/lib/pq", "github.com/prometheus/"),
		"entsignal/pqconn":        append(heavy, "github.com/rabbitmq/"),
		"entsignal/signalweb":     append(heavy, "github.com/rabbitmq/", "github.com/lib/pq"),
		// Their tests link this one, with an assertion library of their choice.
		"entsignal/entsignaltest": append(tools, "github.com/rabbitmq/", "github.com/lib/pq"),
	} {
		out, err := exec.Command("go", "list", "-deps", module+pkg).CombinedOutput()
		require.NoError(t, err, "%s", out)
		deps := strings.Fields(string(out))
		require.Contains(t, deps, module+pkg)
		for _, dep := range deps {
			for _, bad := range forbidden {
				assert.False(t, dep == bad || strings.HasPrefix(dep, bad+"/") || strings.HasSuffix(bad, "/") && strings.HasPrefix(dep, bad),
					"%s links %s", pkg, dep)
			}
		}
	}
}
