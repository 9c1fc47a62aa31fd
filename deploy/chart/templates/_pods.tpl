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
  - name: partitions
    mountPath: /shared
  - name: data
    mountPath: /data
  - name: scratch
    mountPath: /tmp
  - name: memory
    mountPath: /dev/shm
{{- end }}

{{- define "scratch" -}}
volumes:
  - name: partitions
    persistentVolumeClaim:
      claimName: {{ .Values.ray.claim }}
  - name: data
    emptyDir: {}
  - name: scratch
    emptyDir: {}
  - name: memory # what tasks hand on
    emptyDir:
      medium: Memory
{{- end }}
