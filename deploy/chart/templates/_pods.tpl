{{- define "pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "ray" -}}
{{ include "container" . }}
env:
  - name: RAY_USAGE_STATS_ENABLED
    value: "0"
resources:
  limits:
    {{- toYaml .Values.ray.limits | nindent 4 }}
volumeMounts:
  - name: data
    mountPath: /data
  - name: scratch
    mountPath: /tmp
  - name: shared
    mountPath: /dev/shm
{{- end }}

{{- define "scratch" -}}
volumes:
  - name: data
    emptyDir: {}
  - name: scratch
    emptyDir: {}
  - name: shared # what tasks hand on
    emptyDir:
      medium: Memory
{{- end }}
