{{- /* The name that all objects of the release begin with. */}}
{{- define "kubestrace.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- end -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- /* What a component's pods are found by; never changes, because selectors cannot. Takes (list $ "agent"). */}}
{{- define "kubestrace.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* Labels of every object. */}}
{{- define "kubestrace.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Labels of a component's objects. Takes (list $ "agent"). */}}
{{- define "kubestrace.componentLabels" -}}
{{ include "kubestrace.labels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* A component's image. Takes (list $ .Values.agent.image). */}}
{{- define "kubestrace.image" -}}
{{- $image := index . 1 -}}
{{- printf "%s:%s" $image.repository ($image.tag | default (index . 0).Chart.AppVersion) -}}
{{- end }}

{{- /* The Secret with the operator's client certificate. */}}
{{- define "kubestrace.operatorSecret" -}}
{{- if eq .Values.tls.mode "secret" -}}
{{- required "tls.mode is secret: tls.secret.operator must name the Secret with the operator's certificate" .Values.tls.secret.operator -}}
{{- else -}}
{{- include "kubestrace.fullname" . }}-operator-tls
{{- end -}}
{{- end }}

{{- /* The Secret with the agents' server certificate. */}}
{{- define "kubestrace.agentSecret" -}}
{{- if eq .Values.tls.mode "secret" -}}
{{- required "tls.mode is secret: tls.secret.agent must name the Secret with the agents' certificate" .Values.tls.secret.agent -}}
{{- else -}}
{{- include "kubestrace.fullname" . }}-agent-tls
{{- end -}}
{{- end }}

{{- /* The Secret with the CA. */}}
{{- define "kubestrace.caSecret" -}}
{{- include "kubestrace.fullname" . }}-ca
{{- end }}

{{- /* What the operator may do where sessions are served. */}}
{{- define "kubestrace.operatorRules" -}}
# Patch: the finalizer that stops traces on the nodes before a session goes. Delete: ttlSecondsAfterFinished.
- apiGroups: [kubestrace.io]
  resources: [tracesessions]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [kubestrace.io]
  resources: [tracesessions/status]
  verbs: [patch]
# The pods that a target chooses, and the nodes and containers that they have.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# The selector of a target's workload.
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  verbs: [get]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get]
# What kubectl describe shows.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- /* The node's directory with the CRI socket. A directory, because a runtime that restarts makes a new socket. */}}
{{- define "kubestrace.criDirectory" -}}
{{- if .Values.agent.criSocket -}}
{{- dir .Values.agent.criSocket -}}
{{- else -}}
/run
{{- end -}}
{{- end }}
