// Package graphql_test looks at the GraphQL API that entgql makes of a schema
// with signals.
package graphql_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func api(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("ent/api.graphql")
	require.NoError(t, err)
	require.Contains(t, string(text), "type Customer ", "entgql has made an API")
	return string(text)
}

func TestSignalIsNoPartOfAGraphQLAPI(t *testing.T) {
	text := api(t)
	for _, name := range []string{"CustomerMoved", "customerMoved", "messages", "Messages", "city"} {
		assert.NotContains(t, text, name)
	}
}

func TestInboxIsNoPartOfAGraphQLAPI(t *testing.T) {
	text := api(t)
	for _, name := range []string{"LetterReceived", "letterReceived", "letters", "Letters", "messageID", "receivedAt"} {
		assert.NotContains(t, text, name)
	}
}

func TestSignalThatAsksForItIsPartOfAGraphQLAPI(t *testing.T) {
	text := api(t)
	assert.Contains(t, text, "type NewsShared ")
	assert.Contains(t, text, "newsShareds(")
	for _, name := range []string{"signalAttempts", "signalRetryAt", "signalFailedAt", "signalError"} {
		assert.NotContains(t, text, name, "what mixin.Retry keeps of failures stays out")
	}
}
