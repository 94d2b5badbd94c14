//go:build tools

package integration

import _ "entgo.io/ent/entc"
