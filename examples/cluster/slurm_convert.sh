#!/bin/bash
# Converts the scenes of a manifest as a Slurm job array, one shard each.
#
#   wysiwyh plan 'archive/**/*.tif' -o archive.jsonl --sensor sentinel2-l2a
#   examples/cluster/slurm_convert.sh archive.jsonl sounds [SHARDS] [SBATCH OPTIONS]
#   wysiwyh collect sounds --manifest archive.jsonl -o catalogue.parquet
#
# Without SHARDS there are as many as scenes, but no more than the cluster
# takes in one array. A shard whose node fails or is drained starts again
# elsewhere and goes on where it was; the same call made again converts what is
# missing. The folder has to lie where all nodes see it.
set -eu

manifest=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
scenes=$(wc -l < "$manifest")
# The highest index of an array is one less than this.
most=$(scontrol show config | awk '$1 == "MaxArraySize" { print $3 }')
shards=${3:-$scenes}
[ "$shards" -le "$scenes" ] || shards=$scenes
[ "$shards" -le "${most:-1001}" ] || shards=$most
shift $(($# < 3 ? $# : 3))

sbatch --parsable --job-name=wysiwyh --requeue --array="0-$((shards - 1))" \
    --ntasks=1 --output="$folder/%A_%a.log" --open-mode=append "$@" \
    --export="ALL,MANIFEST=$manifest,FOLDER=$folder,SHARDS=$shards" <<'JOB'
#!/bin/bash
exec "${WYSIWYH:-wysiwyh}" convert --plain --manifest "$MANIFEST" \
    --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" -o "$FOLDER"
JOB
