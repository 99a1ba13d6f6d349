{{/* The name of all objects: istiowatcher-controller for a release of the name istiowatcher. */}}
{{- define "istiowatcher.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- printf "%s-controller" (.Release.Name | trunc 42 | trimSuffix "-") -}}
{{- else -}}
{{- printf "%s-%s-controller" (.Release.Name | trunc 29 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* The Lease: the controller's default for the usual name, and one of its own for each other release. */}}
{{- define "istiowatcher.lease" -}}
{{- $name := include "istiowatcher.fullname" . -}}
{{- eq $name "istiowatcher-controller" | ternary "istiowatcher" $name -}}
{{- end -}}

{{- define "istiowatcher.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "istiowatcher.fullname" .) "default") -}}
{{- end -}}

{{/* The labels that stay the same for the life of a release. */}}
{{- define "istiowatcher.podLabels" -}}
app: {{ include "istiowatcher.fullname" . }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "istiowatcher.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The name, the namespace and the labels of an object of the release's namespace. */}}
{{- define "istiowatcher.metadata" -}}
name: {{ include "istiowatcher.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "istiowatcher.labels" . | nindent 2 }}
{{- end -}}
