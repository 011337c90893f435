{{- /* The name that all objects of the release begin with. */}}
{{- define "kubestrace.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- end -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- /* Selects a component's pods. Must never change, because selectors cannot. Takes (list $ "agent"). */}}
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

{{- /* A component's image. Takes (list $ "agent"). There is no default repository: an image with hostPID must come from
       a registry that its user trusts. */}}
{{- define "kubestrace.image" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $image := (index $root.Values $component).image -}}
{{- $missing := printf "%[1]s.image.repository is empty: kubestrace is in no public registry. Build the image from %[2]s/Dockerfile, push it to your registry and set %[1]s.image.repository to its name there. For a kind cluster: --values charts/kubestrace/ci/kind-values.yaml" $component (ternary "node_agent" "operator" (eq $component "agent")) -}}
{{- $repository := required $missing $image.repository -}}
{{- if and $image.tag $image.digest -}}
{{- fail (printf "%[1]s.image.tag and %[1]s.image.digest are both set: set one of them" $component) -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
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

{{- /* The Lease by which replicas of the operator agree on the one that leads. */}}
{{- define "kubestrace.lease" -}}
{{- include "kubestrace.fullname" . }}-operator
{{- end }}

{{- /* The operator's rights where it serves sessions. */}}
{{- define "kubestrace.operatorRules" -}}
# Patch: the finalizer that stops traces on the nodes before a session goes. Delete: ttlSecondsAfterFinished and the history
# limits of schedules. Create: the sessions of schedules.
- apiGroups: [kubestrace.io]
  resources: [tracesessions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [kubestrace.io]
  resources: [traceschedules]
  verbs: [get, list, watch]
- apiGroups: [kubestrace.io]
  resources: [tracesessions/status, traceschedules/status]
  verbs: [patch]
# The pods that a target matches, with their nodes and containers.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# The label by which a namespace is closed to tracing.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
# The names of peers, where spec.views.network asks for peers: once, as a session of the namespace ends. Without it they
# stay addresses.
- apiGroups: [""]
  resources: [services]
  verbs: [list]
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

{{- /* The path of the CRI socket on the nodes; empty for none and auto. */}}
{{- define "kubestrace.criSocket" -}}
{{- $known := dict "containerd" "/run/containerd/containerd.sock" "k3s" "/run/k3s/containerd/containerd.sock" "crio" "/run/crio/crio.sock" "cri-dockerd" "/run/cri-dockerd.sock" "none" "" "auto" "" -}}
{{- if hasKey $known .Values.agent.criSocket -}}
{{- get $known .Values.agent.criSocket -}}
{{- else -}}
{{- .Values.agent.criSocket -}}
{{- end -}}
{{- end }}

{{- /* The node's directory that holds the CRI socket; empty for none. A mounted socket would go stale when the runtime
       restarts and makes a new one; a mounted directory shows the new one. */}}
{{- define "kubestrace.criDirectory" -}}
{{- if eq .Values.agent.criSocket "auto" -}}
/run
{{- else if ne .Values.agent.criSocket "none" -}}
{{- dir (include "kubestrace.criSocket" .) -}}
{{- end -}}
{{- end }}

{{- /* For the policies: the user that the operator is. */}}
{{- define "kubestrace.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "kubestrace.fullname" . }}-operator
{{- end }}

{{- /* For the policies: the operator makes a session of a schedule. */}}
{{- define "kubestrace.ofSchedule" -}}
(request.userInfo.username == '{{ include "kubestrace.operatorUser" . }}' && has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(owner, owner.kind == 'TraceSchedule'))
{{- end }}

{{- /* For the bindings of the policies: where they hold. Elsewhere nobody serves sessions, or another release does, whose
       operator makes sessions of schedules. */}}
{{- define "kubestrace.bound" -}}
{{- with .Values.operator.watchNamespaces -}}
matchResources:
  namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values: {{ toJson . }}
{{- end -}}
{{- end }}

{{- /* For the policies: an update may enable views without a change of the spec. Client-side `kubectl apply` drops views that
       are null, so the operator reads these in its annotation; one without the word null enables none. */}}
{{- define "kubestrace.appliedChanges" -}}
{{- $name := "kubectl.kubernetes.io/last-applied-configuration" -}}
(has(object.metadata.annotations) && '{{ $name }}' in object.metadata.annotations &&
object.metadata.annotations['{{ $name }}'].contains('null') &&
!(has(oldObject.metadata.annotations) && '{{ $name }}' in oldObject.metadata.annotations &&
oldObject.metadata.annotations['{{ $name }}'] == object.metadata.annotations['{{ $name }}']))
{{- end }}

{{- /* Who may trace, for the policies: the dictionary has the release (root), the path of a session's spec in the object,
       and what is allowed beside the right (mayToo). */}}
{{- define "kubestrace.whoMayTrace" -}}
variables:
  - name: exec
    expression: authorizer.group('').resource('pods').subresource('exec').namespace(request.namespace)
  # A right on some pods by name is enough for these.
  - name: mayExec
    expression: >-
      has(object.{{ .spec }}.target.podName)
      ? variables.exec.name(object.{{ .spec }}.target.podName).check('create').allowed()
      : variables.exec.check('create').allowed()
  - name: tracing
    expression: >-
      has(namespaceObject.metadata.labels) && 'kubestrace.io/tracing' in namespaceObject.metadata.labels
      ? namespaceObject.metadata.labels['kubestrace.io/tracing'] : ''
validations:
  - expression: variables.tracing != 'disabled'
    reason: Forbidden
    messageExpression: >-
      'namespace ' + request.namespace + ' is closed to tracing: it has the label kubestrace.io/tracing=disabled'
  {{- if eq .root.Values.tracing.namespaces "if-enabled" }}
  - expression: variables.tracing in ['enabled', 'disabled']
    reason: Forbidden
    messageExpression: >-
      'namespace ' + request.namespace + ' is not open to tracing: it lacks the label kubestrace.io/tracing=enabled'
  {{- end }}
  - expression: >-
      {{ .mayToo }}variables.mayExec
    reason: Forbidden
    messageExpression: >-
      'tracing shows what happens in pods: ' + request.userInfo.username +
      ' must be allowed to create pods/exec in namespace ' + request.namespace
{{- end }}
